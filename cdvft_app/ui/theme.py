"""The page's Gradio theme: paper and ink."""

from __future__ import annotations

import inspect

import gradio as gr

SANS = ("Inter", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("IBM Plex Mono", "ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace")

# Those of css/page/fonts.css.
TEXT = gr.themes.sizes.Size("12px", "12px", "13px", "15px", "15px", "18px", "24px", name="text_studio")

# Variables of Gradio by the studio's that they take; css/page/colours.css gives those light and dark values.
STUDIO_COLOURS = {
    "--paper": "body_background_fill background_fill_primary block_background_fill input_background_fill "
    "input_background_fill_focus panel_background_fill block_label_background_fill checkbox_background_color "
    "checkbox_label_background_fill checkbox_label_background_fill_hover button_secondary_background_fill "
    "button_primary_text_color table_even_background_fill table_odd_background_fill "
    "checkbox_label_background_fill_selected",
    "--wash": "background_fill_secondary button_secondary_background_fill_hover code_background_fill "
    "stat_background_fill color_accent_soft",
    "--ink": "body_text_color block_label_text_color block_title_text_color accordion_text_color "
    "table_text_color button_primary_background_fill button_secondary_text_color "
    "button_secondary_text_color_hover link_text_color link_text_color_active link_text_color_hover "
    "link_text_color_visited checkbox_label_text_color checkbox_label_text_color_selected slider_color "
    "checkbox_background_color_selected checkbox_border_color_selected checkbox_border_color_focus "
    "button_primary_border_color input_border_color_focus loader_color",
    "--ink-soft": "body_text_color_subdued block_info_text_color input_placeholder_color "
    "button_primary_background_fill_hover",
    "--rule": "border_color_primary border_color_accent block_border_color table_border_color "
    "panel_border_color",
    "--control": "input_border_color button_secondary_border_color checkbox_border_color "
    "checkbox_label_border_color",
    "--rule-strong": "checkbox_border_color_hover input_border_color_hover "
    "button_secondary_border_color_hover checkbox_label_border_color_hover "
    "checkbox_label_border_color_selected",
}


def theme() -> gr.themes.Base:
    base = gr.themes.Base(
        primary_hue="neutral",
        secondary_hue="neutral",
        neutral_hue="neutral",
        radius_size=gr.themes.sizes.radius_sm,
        text_size=TEXT,
        spacing_size=gr.themes.sizes.spacing_md,
        font=SANS,
        font_mono=MONO,
    )
    known = inspect.signature(base.set).parameters
    values: dict[str, str] = {}
    for variable, names in STUDIO_COLOURS.items():
        for name in names.split():
            values[name] = f"var({variable})"
            if f"{name}_dark" in known:
                values[f"{name}_dark"] = f"var({variable})"
    return base.set(
        **values,
        block_border_width="0px",
        block_shadow="none",
        block_padding="0",
        button_border_width="1px",
        checkbox_label_border_width="1px",
        input_border_width="1px",
        input_radius="6px",
        input_border_width_dark="1px",
        block_title_text_weight="500",
        block_label_text_weight="500",
        button_large_text_weight="500",
        layout_gap="16px",
        form_gap_width="0px",
    )
