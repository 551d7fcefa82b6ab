"""The studio as plain files, without a browser: texts, layout, scripts by name, and where it is written."""

from __future__ import annotations

import gradio as gr
import pytest

from cdvft_app.ui.learn.lab import asked_for
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.scripts import named
from cdvft_app.ui.static import folder
from cdvft_app.ui.static.answers import spelled
from cdvft_app.ui.static.folder import write
from cdvft_app.ui.static.page import Markup, markdown


def test_formulas_and_html_are_kept_from_markdown_whose_tables_and_lists_are_set() -> None:
    text = "A *wave* $a_1 < b_2$ and\n\n$$\nc_{i-j}\\,x_j\n$$\n\n| a | b |\n|---|---|\n| 1 | `x` |"
    html = markdown(text)
    assert '<em>wave</em> <span class="formula inline">a_1 &lt; b_2</span>' in html
    assert '<span class="formula display">c_{i-j}\\,x_j</span>' in html
    assert "<td>1</td>\n<td><code>x</code></td>" in html
    assert html.count("<em>") == 1
    assert "<script>" not in markdown("a <script>alert(1)</script> b")


def test_a_layout_becomes_elements_of_the_same_classes_and_ids() -> None:
    with gr.Blocks() as page, gr.Row(elem_classes=["learn"]), gr.Column(elem_id="lesson-rank"):
        gr.Markdown("## Title", elem_classes=["lesson-text"])
        component("learn/rank.js", {"x": 1}, elem_classes=("lesson-play",), lines=[2])
        component("compare/paper.js", elem_id="paper")
    markup = Markup()
    html = markup.html(page.children[0])
    assert html.startswith('<div class="laid-row learn"><div id="lesson-rank" class="laid-column">')
    assert '<div class="block lesson-text"><div class="prose"><h2>Title</h2>' in html
    assert '<div class="block part lesson-play"><div id="part-0-part" data-part="part-0">' in html
    assert '<div id="paper" class="block part"><div id="paper-part" data-part="paper">' in html
    first, second = markup.parts.values()
    assert (first.module, first.value, first.fixed) == ("learn/rank.js", {"x": 1}, {"lines": [2]})
    assert second.module == "compare/paper.js"


def test_a_control_of_gradio_is_refused_by_its_name() -> None:
    with gr.Blocks() as page:
        gr.Button("Fit", elem_id="lab-fit")
    with pytest.raises(TypeError, match=r"cannot show Gradio's Button .*'lab-fit'"):
        Markup().html(page.children[0])


def test_modules_are_named_in_place_of_paths() -> None:
    source = 'import { h } from "../shared/dom.js";\nimport {\n  a,\n} from "./model.js";\nimport "./own.js";'
    assert named("train/sub/run.js", source) == (
        'import { h } from "cdvft/train/shared/dom.js";\nimport {\n  a,\n} from "cdvft/train/sub/model.js";\n'
        'import "cdvft/train/sub/own.js";'
    )


def test_the_bundle_has_what_its_modules_import_and_no_more() -> None:
    bundle = folder.bundle(["compare/paper.js"])
    for name in ("static/page.js", "compare/paper.js", "shared/table.js", "shared/download.js"):
        assert f'"cdvft/{name}": ' in bundle
    for absent in ('"cdvft/compare/growth.js": ', 'from \\"./', 'from \\"../'):
        assert absent not in bundle


def test_fonts_of_formulas_are_inside_the_stylesheet() -> None:
    sheet = folder.katex()
    assert "data:font/woff2;base64," in sheet
    assert "url(./" not in sheet
    assert "}.katex .katex-mathml{" in sheet  # of any page, not of Gradio's alone


def test_an_argument_is_spelled_as_the_script_does() -> None:
    assert spelled({"run": "ä", "module": "b.c"}) == '[["module","b.c"],["run","ä"]]'
    assert spelled({"flops": True, "chosen": None}) == '[["chosen",null],["flops",true]]'
    assert spelled({"rate": 0.001}) == '[["rate",0.001]]'


def test_a_folder_with_other_files_is_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="holds other files"):
        write(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("studio", ["studio.example", "javascript:alert(1)", "https://"])
def test_an_address_that_is_none_is_refused(tmp_path, studio) -> None:
    with pytest.raises(ValueError, match="give the studio's whole address"):
        write(tmp_path / "new", studio)


def test_the_lab_of_the_studio_opens_what_a_link_names_and_is_offered() -> None:
    assert asked_for({"target": "toeplitz", "n": "64"}) == ["toeplitz", 64]
    assert asked_for({"target": "file", "n": "63"}) == [gr.skip(), gr.skip()]
    assert asked_for({}) == [gr.skip(), gr.skip()]
