// As much of plotly.js as the page's charts use; its own types would be another package.

/** A setting of plotly's that the scripts only hand on. */
type Other = { [option: string]: unknown };

export type Line = { color: string; width: number; dash?: string | null } & Other;
export type Trace = { name?: string; x?: unknown[]; y?: unknown[] } & Other;
export type PlotAxis = { title?: Other | string; type?: string; range?: unknown[] } & Other;
export type Layout = { xaxis: PlotAxis; yaxis: PlotAxis; uirevision?: string } & Other;
export type Figure = { data: Trace[]; layout: Layout; config?: Other };

/** How a method's curves and points look (see cdvft_app/figures/palette.py). */
export type Style = { label: string; line: Line; marker: Other };
export type Styles = { [method: string]: Style };

/** A chart's element, once plotly has drawn on it. */
export type Drawn = HTMLElement & {
  _fullLayout: { xaxis: { p2d: (pixel: number) => number; _offset: number } };
};

export interface Library {
  react(element: HTMLElement, data: Trace[], layout: Layout, config: Other): Promise<HTMLElement>;
  relayout(element: HTMLElement, changed: Other): Promise<HTMLElement>;
  Plots: { resize(element: HTMLElement): void };
}

declare global {
  interface Window {
    Plotly?: Library;
  }
}
