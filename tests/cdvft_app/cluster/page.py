"""A page's queue on a cluster, with one run, until it is killed: python page.py FOLDER ADDRESS."""

import sys
import time

from held_runs import settings

from cdvft_app.cluster.executor import RayCluster
from cdvft_app.store.runs import RunStore
from cdvft_app.training import children
from cdvft_app.training.queue import RunQueue

if __name__ == "__main__":
    children.import_nothing()
    folder, address = sys.argv[1:]
    executor = RayCluster(address, ships_code=False, trainer="cluster_trainer:train")
    queue = RunQueue(RunStore(folder), executor=executor)
    queue.start()
    queue.submit([settings(22).model_copy(update={"max_steps": 300})], "a")
    time.sleep(3600)
