"""A classifier for sentence encoders: the masked mean of the last states, and a linear layer on it.

Encoders such as all-MiniLM-L6-v2 were trained with mean pooling. transformers puts a classifier on the first
token of these architectures, from which they learn far worse, and has no class for the mean; so this one
replaces it. It is part of the library, not of the app, so that `cdvft` alone can load what was trained on it.
Importing this module registers it with transformers' Auto classes:

    import cdvft.mean_pooled
    model = AutoModelForSequenceClassification.from_pretrained(folder)  # what `save_pretrained` wrote

An encoder's own folder or hub id says BERT, for which the Auto classes have their own class; by name this one
takes it, with a head drawn at random, as the start of training or under an adapter:

    model = MeanPooledForSequenceClassification.from_pretrained("sentence-transformers/all-MiniLM-L6-v2")

Architectures whose own classifier suits them (RoBERTa) need none of this.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedModel
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput


class MeanPooledConfig(PretrainedConfig):
    """Labels, as every transformers config holds them, and the config of the encoder beneath."""

    model_type = "mean_pooled"

    def __init__(
        self, backbone_config: PretrainedConfig | dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(backbone_config, dict):
            backbone_config = AutoConfig.for_model(**backbone_config)
        self.backbone_config = backbone_config

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Takes the config of a bare encoder as well: it becomes the `backbone_config`."""
        if config_dict.get("model_type") not in (None, cls.model_type):
            config_dict = {"backbone_config": config_dict}
        return super().from_dict(config_dict, **kwargs)


class MeanPooledForSequenceClassification(PreTrainedModel):
    """logits = V mean_t(h_t) + b over all tokens t but padding; one label makes it a regression.

    Args:
        config: of head and encoder.
        backbone: an encoder that is already loaded; otherwise one with weights drawn at random.
    """

    config_class = MeanPooledConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: MeanPooledConfig, backbone: Any = None) -> None:
        super().__init__(config)
        if backbone is None:
            backbone = AutoModel.from_config(config.backbone_config)
        if getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None  # nothing reads it, and unused parameters upset data-parallel training
        self.backbone: Any = backbone  # of any architecture
        self.classifier = nn.Linear(self.backbone.config.hidden_size, config.num_labels or 1)
        if not self.classifier.weight.is_meta:  # all of it has its start already
            for module in (*self.backbone.modules(), self.classifier):
                module._is_hf_initialized = True
        self.post_init()

    @classmethod
    def on(cls, backbone: Any, **labels: Any) -> MeanPooledForSequenceClassification:
        """Return a loaded encoder under a fresh head; `labels` are num_labels, or id2label and label2id."""
        return cls(MeanPooledConfig(backbone_config=backbone.config, **labels), backbone)

    def _init_weights(self, module: nn.Module) -> None:
        """torch's own start for a head that no file has."""
        if module is self.classifier:
            self.classifier.reset_parameters()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> SequenceClassifierOutput:
        """(B, T) token ids and mask, and whatever else the encoder takes -> (B, labels) logits.

        The loss is that of transformers' own classifiers, by `problem_type` of the config.
        """
        found = self.backbone(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **inputs)
        states = found.last_hidden_state  # (B, T, d)
        if attention_mask is None:
            pooled = states.mean(1)
        else:
            mask = attention_mask.unsqueeze(-1).to(states.dtype)  # (B, T, 1)
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)  # of padding alone: 0
        logits = self.classifier(pooled)
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return SequenceClassifierOutput(loss, logits, found.hidden_states, found.attentions)


def register() -> None:
    """Tell transformers' Auto classes; calling it again changes nothing."""
    AutoConfig.register(MeanPooledConfig.model_type, MeanPooledConfig, exist_ok=True)
    AutoModelForSequenceClassification.register(
        MeanPooledConfig, MeanPooledForSequenceClassification, exist_ok=True
    )


register()
