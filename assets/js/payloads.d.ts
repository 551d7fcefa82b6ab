// What Python sends and may be asked: written by cdvft_app/ui/typescript.py, do not edit.

import type { Ask } from "./shared/part.js";
import type { Figure, Layout, Styles } from "./shared/plotly_types.js";

/** Fixed props of a component that draws curves: each method's line style, and the layout of the axes. */
export interface Charted {
  lines: Styles;
  layout: Layout;
}

/** Fixed props of a component that shows methods. */
export interface Styled {
  lines: Styles;
}

/** A request with the token of the browser that asks; without it nothing is its own. */
export interface TokenRequest {
  token?: string;
}

/** A request about a race, a sweep or a search, by its group. */
export interface GroupRequest extends TokenRequest {
  group: string | null;
}

/** The sweep or search that a part of the page shows: the one in the address where `group` is None. */
export interface GroupView {
  group: string | null;
  token: string;
}

/** The answer to a request that changes something: why it was refused, or None. */
export interface Done {
  error: string | null;
}

/** Why a question was not answered; `busy`: asking again later helps. */
export interface Refused {
  error: string;
  busy: boolean;
}

/** The header's value: the browser's token; empty before it is known. */
export interface HeaderView {
  token: string;
}

/** Fixed props of the header: whether the server is public and takes class codes. */
export interface ServerMode {
  public: boolean;
  codes: boolean;
}

/** A visitor's remaining time, in short and in a sentence; `visitor`: under which name it is counted. */
export interface Standing {
  short: string;
  text: string;
  visitor: string;
}

/** An error of a script of the page, and the line it is from. */
export interface ScriptError {
  error: string;
  where?: string;
}

/** A forecast number with its range; `how` is a sentence on where it comes from. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
  how: string;
}

/** How often a run is evaluated, and the seconds of one evaluation and of the last one. */
export interface Evaluating {
  times: number;
  seconds: number;
  last_seconds: number;
}

/** A run's forecast; None: nothing is known of this device yet. */
export interface Forecast {
  trainable_parameters: Estimate;
  adapter_bytes: Estimate;
  seconds: Estimate | null;
  whole_seconds: Estimate | null;
  peak_memory_bytes: Estimate;
  evaluating?: Evaluating | null;
}

/** The facts of a run that do not change while it is watched; `created` is in seconds since 1970. */
export interface RunLasting {
  group: string;
  method: string;
  label: string;
  twin: number;
  summary: string;
  settings: Record<string, unknown>;
  options: Record<string, unknown>;
  created: number;
  forecast: Forecast | null;
  untrained: string | null;
}

/** A run that trains as a Job of the hub; `address` is None until the hub has taken it. */
export interface Job {
  address: string | null;
  repository: string;
  repository_address: string;
}

/** The facts of a run that may change from one second to the next. `best_step`: the one that is kept, where one was chosen; `last_metric` is of the last one, where that is another. */
export interface RunNow {
  id: string;
  name: string;
  state: "queued" | "preparing" | "running" | "stopping" | "finished" | "stopped" | "failed" | "interrupted";
  reason: string | null;
  step: number;
  total_steps: number | null;
  trainable_parameters: number | null;
  head_parameters: number | null;
  base_parameters: number | null;
  metric_name: string | null;
  metric_title: string | null;
  metric: number | null;
  best_step: number | null;
  last_metric: number | null;
  seconds: number | null;
  examples_per_second: number | null;
  device: string | null;
  precision: string | null;
  whole_seconds?: number | null;
  adapter_bytes?: number | null;
  peak_memory_bytes?: number | null;
  lent_seconds?: number | null;
  job?: Job | null;
}

export interface Note {
  text: string;
  level: string;
}

/** The loading before the first step; `fraction` in 0..1, None where it is not known. */
export interface Preparing {
  text: string;
  fraction: number | null;
}

/** The answers that a model writes after so many steps; a prompt and its answer have the same place. `right`: the answer that is, where it is known; `wrong`: the fields that differ from it, "" for all of it. `tokens`: pieces of the answer, each with its probability. Runs of earlier histories have none of the three. */
export interface Answers {
  step: number;
  prompts: string[];
  answers: string[];
  right?: (string | null)[];
  wrong?: string[][];
  tokens?: [string, number][][];
}

/** New rows: a step is [step, seconds, loss], an evaluation [step, seconds, metric, whether it is on validation rows]. `answers` are of a model that writes, to the same prompts at each snapshot. */
export interface RunRows {
  steps: ([number, number, number | null])[];
  evaluations: ([number, number, number | null, boolean])[];
  notes: Note[];
  answers?: Answers[];
  preparing?: Preparing;
}

/** A run since a cursor; `more` rows wait. `place` is that in the queue. */
export interface RunNews extends RunNow, RunRows {
  cursor: number;
  more: boolean;
  place?: number | null;
}

/** A run from its first row on. */
export interface WholeRun extends RunNews, RunLasting {
}

/** The cursor of each run that the page watches, by its id; 0 at first. */
export interface PollRequest extends TokenRequest {
  cursors: Record<string, number>;
}

/** The news of the runs that a page watches; the token that asked may stop them where `stoppable`. `slice`: the run of which this page is to have the next slice trained. */
export interface RunsPoll {
  runs: (RunNews | WholeRun)[];
  missing: string[];
  stoppable?: boolean;
  slice?: string | null;
}

export interface VerdictRequest extends TokenRequest {
  runs: string[];
}

/** The judge's sentences on a race; `leaders` are runs that are ahead of another and behind none. */
export interface RaceVerdict {
  sentences: string[];
  leaders: string[];
}

/** `invitation` stands beside a recorded race; at most `max_runs` are drawn together. */
export interface RunViewFixed extends Charted {
  invitation: string;
  max_runs: number;
}

/** The runs that are shown, and why. `serial` differs from that of the view before, so that the same runs can be shown anew. `recorded`: when and where those were trained that ship; their `rows` come along. */
export interface RunView {
  runs: string[];
  kind: "linked" | "new" | "chosen" | "last" | "best" | "waiting";
  token: string;
  serial: number;
  recorded: string | null;
  rows: RunsPoll | null;
  refused?: string | null;
}

/** A run of a race in the history. */
export interface RaceRun {
  id: string;
  method: string;
  label: string;
  state: "queued" | "preparing" | "running" | "stopping" | "finished" | "stopped" | "failed" | "interrupted";
  metric: number | null;
  metric_name: string | null;
  metric_title: string | null;
  trainable_parameters: number | null;
  seconds: number | null;
}

/** A race or sweep of the history. `mine`: the requester may rename it, keep it `private`, and delete it unless it trains. On `own_data` it stays private. `states`: the number of its runs by state. A sweep has no `runs`. */
export interface Race {
  name: string;
  summary: string;
  data: string;
  created: number;
  group: string;
  sweep: boolean;
  mine: boolean;
  private: boolean;
  own_data: boolean;
  training: boolean;
  states: Record<string, number>;
  runs: RaceRun[];
}

export interface RacesRequest extends TokenRequest {
  limit?: number;
}

export interface Races {
  races: Race[];
  more: boolean;
}

/** A request about races and sweeps, by their groups. */
export interface GroupsRequest extends TokenRequest {
  groups: string[];
}

export interface RenameRequest extends GroupsRequest {
  name: string;
}

export interface PrivateRequest extends GroupsRequest {
  private: boolean;
}

export interface RecipeCard {
  key: string;
  title: string;
  offline: boolean;
  about: string;
  expect: string;
  paper: string | null;
  expect_source: string;
}

/** The recipe whose settings hold, and the name of the data of one's own that replaces its data. */
export interface WhatIsLearned {
  recipe: string;
  own: string | null;
}

export interface RecipesFixed {
  unmeasured: string;
  recipes: RecipeCard[];
}

export interface HubReach {
  reachable: boolean;
  text: string;
}

/** The columns that are read, and the one that is learned: a "label", or an "answer" that is written. `clean` are the steps that mend the rows before. */
export interface Roles {
  task: "label" | "answer";
  inputs: string[];
  label: string | null;
  clean: string[];
}

/** A step against what a warning says; `title` says what it does. */
export interface MendingStep {
  warning: string;
  step: string;
  title: string;
}

/** A column of an uploaded table with the cells of the rows that are shown; `type` is what it holds. */
export interface UploadedColumn {
  name: string;
  type: string;
  distinct: number;
  missing: number;
  findings: string[];
  cells: string[];
}

/** Shares of a whole, each with its name and text; `more` is said below. */
export interface Bars {
  title: string;
  bars: [string, number, string][];
  more: string;
}

/** A PNG in base64. */
export interface Picture {
  png: string;
  label: string;
}

/** The content of an uploaded table, and what would be learned from it; `problem` says why nothing can be. `read` says how the file was read, `sides` which rows are for what, `settings` where those are from. `rows` are the numbers or names of the rows that are shown. `findings` are about no column. `cleaned`: what each step did, and last which rows were mended. `automatic` steps are done without being asked for. */
export interface UploadedLook {
  name: string;
  read: string;
  kind: "text" | "image";
  roles: Roles;
  task: string;
  sides: string;
  settings: string;
  problem: string | null;
  columns: UploadedColumn[];
  hidden_columns: number;
  rows: string[];
  pictures: Picture[];
  classes: Bars | null;
  lengths: Bars | null;
  findings: string[];
  mended_by: MendingStep[];
  cleaned: string[];
  automatic: string[];
}

/** One trial: its run and what it tried; loss and score are of validation rows, None before its end. */
export interface SearchTrial {
  number: number;
  run: string | null;
  state: string;
  settings: string;
  loss: number | null;
  score: string | null;
}

export interface SearchFigure {
  title: string;
  figure: Figure;
}

/** One method's part of a search. `figures` have a title each; none before there is something to draw. */
export interface SearchedMethod {
  method: string;
  label: string;
  trials: SearchTrial[];
  budget: number;
  best: number | null;
  sentences: string[];
  figures: SearchFigure[];
}

/** A search as it is now. `race`: the address of the form that races the best of each; None before that. `waits`: nothing trains, and a run waits to be resumed. */
export interface SearchShown {
  title: string;
  methods: SearchedMethod[];
  running: boolean;
  waits: boolean;
  race: string | null;
}

/** A search, which the page has as of `known`. */
export interface SearchViewRequest extends GroupRequest {
  known?: string | null;
}

/** A search as it is shown, unless the page has it as of `known` already; or `missing`. */
export interface SearchAnswer {
  missing?: boolean;
  mine?: boolean;
  known?: string;
  shown?: SearchShown;
}

export interface PagesFixed {
  pages: [string, string][];
}

export interface Quantity {
  key: string;
  title: string;
  hint: string;
  kind: "count" | "bytes" | "flops" | "seconds";
}

/** A column; `unavailable`: why it does not fit this model, `refused`: why it cannot be measured. */
export interface AskedMethod {
  method: string;
  label: string;
  unavailable: string | null;
  refused: string | null;
}

/** A row of the answer: a text for each method, None where there is none; `best` marks who has least. */
export interface Answer {
  key: string;
  title: string;
  hint: string;
  texts: (string | null)[];
  best: boolean[];
}

/** A part of a step's bytes, for each available method. */
export interface MemoryTerm {
  title: string;
  formula: string;
  texts: string[];
}

export interface Device {
  title: string;
  bandwidth: string;
  bfloat16: string;
  source: string;
}

/** Where and when steps were measured: on which `device`, between which seconds since 1970. `others`: the largest share of the processor that other programs took. */
export interface Circumstances {
  device: string;
  first: number;
  last: number;
  others: number;
}

/** A competitor's costs by quantity at each x; None where it does not fit. */
export interface GrowthLine {
  method: string;
  label: string;
  costs: Record<string, (number | null)[]>;
}

/** Costs along one axis; `short` is its symbol, `name` its label in the switch. */
export interface Growth {
  key: string;
  short: string;
  name: string;
  title: string;
  note: string;
  at: number;
  x: number[];
  series: GrowthLine[];
}

/** The answer to one request: its sentence and table, and what stands behind them. */
export interface Costs {
  request: Record<string, unknown>;
  title: string;
  subtitle: string;
  sentence: string;
  matched: string[];
  methods: AskedMethod[];
  answers: Answer[];
  memory: MemoryTerm[];
  measured: Circumstances | null;
  columns: Quantity[];
  devices: Device[];
  assumptions: string[];
  rows: Record<string, unknown>[];
}

/** A comparison, or why there is none. */
export interface CostsView {
  shown: Costs | null;
  problem: string | null;
}

export interface CostsFixed extends Styled {
  first: CostsView;
}

/** The growth of costs along each axis, on a model; `quantities` are those that can be drawn. */
export interface GrowthCurves {
  title: string;
  quantities: Quantity[];
  growth: Growth[];
}

/** The curves, or why there are none. */
export interface GrowthView {
  shown: GrowthCurves | null;
  problem: string | null;
}

export interface GrowthFixed extends Charted {
  first: GrowthView;
}

/** The measuring panel: `fraction` is its progress, `kept` the number of new measurements. */
export interface Measuring {
  state: "idle" | "on" | "done" | "failed";
  text: string;
  fraction: number;
  kept: number;
}

export interface PaperRow {
  topic: string;
  quantity: string;
  unit: string;
  published: string | null;
  recomputed: number | null;
  verdict: string;
  why: string;
  source: string;
}

/** A setting: its cells as text and as numbers, and the axes on whose Pareto front it lies. */
export interface OutcomeRow {
  cells: string[];
  numbers: unknown[];
  front: string[];
}

export interface Axis {
  key: string;
  title: string;
  hint: string;
}

/** The scores of finished runs that can be compared, against their costs. */
export interface Comparison {
  subtitle: string;
  axes: Axis[];
  figures: Record<string, Figure | null>;
  sentences: Record<string, string[]>;
  methods: string[];
  columns: string[];
  rows: OutcomeRow[];
  runs: Record<string, unknown>[];
}

/** `first` stands on the page until the runs of this server are read. */
export interface OutcomesFixed extends Styled {
  first: Outcomes | null;
}

/** `chosen`: a comparison's key; the latest one where it is not offered. `flops`: count its FLOPs. */
export interface OutcomesRequest {
  chosen?: string | null;
  flops?: boolean;
}

export interface NoOutcomes {
  choices: [string, string][];
}

/** The chosen one of several comparisons; `counted`: whether the runs' FLOPs are included. */
export interface Outcomes extends Comparison, NoOutcomes {
  chosen: string;
  recorded: boolean;
  origin: string | null;
  counted: boolean;
}

/** A metric over seeds, taken from so many runs. */
export interface SweepSpread {
  mean: number;
  low: number;
  high: number;
  runs: number;
}

export interface SweepPoint extends SweepSpread {
  at: string;
}

export interface SweepSetting {
  method: string;
  name: string;
  values: Record<string, unknown>;
  spread: SweepSpread | null;
  seeds: number;
  failed: number;
  parameters: number | null;
  seconds: number | null;
}

/** Over the other dimensions: their mean, or their best. */
export interface SweepCells {
  mean: ((SweepSpread | null)[])[];
  best: ((SweepSpread | null)[])[];
}

export interface SweepHeatmap {
  key: string;
  method: string;
  title: string;
  rows: string[];
  columns: string[];
  over_others: boolean;
  cells: SweepCells;
}

export interface SweepPoints {
  mean: SweepPoint[];
  best: SweepPoint[];
}

export interface SweepSeries {
  label: string;
  method: string;
  points: SweepPoints;
}

export interface SweepLines {
  key: string;
  title: string;
  axis: string;
  ticks: string[];
  series: SweepSeries[];
}

/** A sweep's settings with their scores, and how they are drawn and described. */
export interface SweepResults {
  metric_name: string | null;
  metric_title: string | null;
  settings: SweepSetting[];
  heatmaps: SweepHeatmap[];
  lines: SweepLines[];
  answer: string;
  sentences: string[];
}

/** A sweep of the store, or one that was `recorded` (when and where); `created` in seconds since 1970. */
export interface SweepShown extends SweepResults {
  title: string;
  origin: string;
  device?: string | null;
  created?: number;
  recorded?: string;
}

/** The number of runs in each state; `seconds_left` is None until one has finished. */
export interface SweepProgress {
  runs: number;
  states: Record<string, number>;
  waiting: number;
  ended: number;
  seconds_left: number | null;
}

/** A sweep by its group, of which the page has the results of `known`; or the recipe of a recorded one. */
export interface SweepViewRequest extends TokenRequest {
  group?: string | null;
  known?: string | null;
  recorded?: string;
}

/** A sweep's progress, and its results unless the page has those of `known` already; or `missing`. */
export interface SweepAnswer {
  missing?: boolean;
  progress?: SweepProgress;
  mine?: boolean;
  known?: string;
  shown?: SweepShown | null;
}

export interface SweepFixed extends Charted {
  recorded: [string, string][];
}

/** A doubt and its answer; `figure` shows it, `label` says what the figure shows, `behind` why. `methods` are those that the figure draws. `command` records it again; `again` are the forms of Train with these settings, each the query of an address and its title. */
export interface EvidenceFigure {
  key: string;
  doubt: string;
  answer: string;
  figure: Figure | null;
  label: string;
  methods: string[];
  behind: string[];
  columns: string[];
  rows: unknown[][];
  source: string;
  command: string;
  again: [string, string][];
}

/** `race`: its group; `dataset`: whose images it is made like; `side`: pixels of the model's input. `drawing`: 64 x 64 signed bytes, row by row, in base64; None where nothing is drawn. */
export interface Drawing {
  race: string;
  dataset: string;
  side: number;
  drawing: string | null;
}

/** `picture`: an address of a PNG, its data in it. */
export interface Seen {
  picture: string;
  said: string;
}

/** The answer of one model: a label or a number in words. `method` None: it was not trained. `likeliest` labels with their probabilities; `differs` from what the others answer. */
export interface ModelAnswer {
  title: string;
  note: string;
  method: string | null;
  said: string;
  differs: boolean;
  likeliest: [string, number][];
}

/** An input, shortened, and what each model answers; `picture`: a PNG's address, of what was asked. `cut`: a sentence on what of it was not read, or empty. */
export interface AnsweredInput {
  input: string;
  cut: string;
  picture?: string;
  answers: ModelAnswer[];
}

/** `problem`: in place of them, or empty. */
export interface AnsweredInputs {
  answered: AnsweredInput[];
  problem: string;
}

/** A line of a cell; `wrong` is read aloud beside its cross: "wrong", "missing", "differs". */
export interface Line {
  text: string;
  strong?: boolean;
  wrong?: string;
}

/** `quiet` stands after its lines; `share` of its row, 0..1, shades it; `picture` is a PNG's address. */
export interface SheetCell {
  lines: Line[];
  quiet?: string;
  share?: number;
  picture?: string;
  strong?: boolean;
}

/** A table; `above` are headings over so many columns each, `method` the one whose colour shades cells. */
export interface Sheet {
  kind: string;
  label: string;
  above: [string, number][];
  heads: string[];
  rows: SheetCell[][];
  method?: string;
}

/** Answers (y) of a method against labels (x), both from `low` to `high`. */
export interface Scatter {
  method: string;
  about: string;
  points: [number, number][];
  low: number;
  high: number;
}

/** Paragraphs, then a table or a picture; `folded` under its title. Those that are `beside` the one before stand in one row with it. */
export interface Section {
  title?: string;
  said?: Line[];
  quiet?: string;
  problem?: string;
  sheet?: Sheet;
  scatter?: Scatter;
  folded?: boolean;
  beside?: boolean;
}

export interface Sections {
  sections: Section[];
}

/** The text that one model writes: pieces with their probabilities; `method` None: it was not trained. `fields` and their `json` come with the end, where the answers of the data have fields. */
export interface WrittenSide {
  title: string;
  note: string;
  method: string | null;
  pieces: [string, number][];
  tokens: number;
  seconds: number;
  ended: boolean;
  fields: Record<string, string>;
  json: string;
}

/** `status` stands over the columns; `problem`: in place of them. `running`: more is to come. */
export interface Writing {
  prompt: string;
  sides: WrittenSide[];
  status: string;
  problem: string;
  running: boolean;
}

/** `run`: its id, or that of a recorded one. */
export interface FactorsRequest {
  run: string;
}

/** A request about a run's layers from the one of index `first` on. */
export interface FromLayerRequest extends FactorsRequest {
  first: number;
}

/** `module`: the layer's name in the model. */
export interface LayerRequest extends FactorsRequest {
  module: string;
}

/** `beside`: another run; None: none. */
export interface TogetherRequest extends LayerRequest {
  beside: string | null;
}

/** A run of the store, or one that was `recorded`: when and where. */
export interface SourceFacts {
  name: string;
  group: string | null;
  created: number | null;
  state: string;
  metric_name: string | null;
  metric: number | null;
  recorded: string | null;
}

/** A run whose snapshots can be looked into. */
export interface InspectedRun extends SourceFacts {
  id: string;
  method: string;
  label: string;
  summary: string;
  rank: number | null;
  m: number;
  targets: string;
}

export interface InspectedRuns {
  runs: InspectedRun[];
}

/** A layer by its name: `depth` is its block's number, `kind` its place there. */
export interface Module {
  module: string;
  depth: number | null;
  kind: string;
  d_out: number;
  d_in: number;
}

/** A layer with the constant factor of its update. */
export interface Layer extends Module {
  scale: number;
}

/** Losses are [step, loss]; `weights` are norms of frozen weights by module, as far as known. `first` is the layer to show first, where that is known without computing. */
export interface OpenedRun extends InspectedRun {
  losses: number[][];
  steps: number[];
  layers: Layer[];
  weights: Record<string, number> | null;
  first: string | null;
  kind: "text" | "image";
}

/** A vector at every snapshot, one after another; `shape` is that of one. */
export interface Vector {
  shape: number[];
  type: "float32" | "int32";
  data: string;
}

/** A layer's vectors over the snapshots, by name. */
export interface KeptVectors extends Module {
  steps: number[];
  vectors: Record<string, Vector>;
  trained: number;
  bytes: number;
}

/** Singular values of the update at each step, `count` each, descending. */
export interface SingularValues {
  steps: number[];
  count: number;
  values: string;
  effective_rank: number[];
  norm: number[];
}

export interface NoSingularValues {
  reason: string;
}

/** Norms of the update by step (None: not computed), and how far each vector moved since the first. */
export interface LayerNumbers {
  module: string;
  steps: number[];
  norm: (number | null)[];
  moved: Record<string, number[]>;
  effective_rank: number | null;
}

/** Numbers of some layers; `next` is the index of the first that is left. */
export interface Overview {
  layers: LayerNumbers[];
  next: number | null;
}

export interface Weights {
  weights: Record<string, number>;
}

/** The layer that the tab opens first. */
export interface MostChanged {
  module: string;
}

/** The answers to held-out rows. `right`: how many are; None: they are numbers. `lost` and `gained`: the rows that the whole change alone gets right, or wrong. */
export interface Answered {
  right: number | null;
  loss: number;
  lost: number;
  gained: number;
}

/** The effect of a change on a layer's real inputs. `ratio` are quartiles of ||dW x|| / ||W x|| over tokens, `common` is the part of the effect that all of them have in common, `used` the part of ||dW||^2 along the `directions`, of `width`, where inputs lie. */
export interface LayerEffect {
  module: string;
  ratio: number[];
  common: number;
  used: number;
  directions: number;
  width: number;
  without: Answered;
}

/** The effects of some layers; `next` is the index of the first that is left. `shifts` answers with each layer's change replaced by its mean over tokens, `off` without any change. */
export interface Effects {
  layers: LayerEffect[];
  next: number | null;
  unit: "tokens" | "patches";
  tokens: number;
  rows: number;
  trained: Answered;
  off: Answered;
  shifts: Answered;
}

/** A direction of the effects of one run, or of two. `shares`: of each run's effect along it; `common`: the part of that which all tokens have in common. `cosine` is between the two runs' effects along it, `tokens` are those that it moves most. */
export interface Direction {
  shares: number[];
  common: number[];
  cosine: number | null;
  tokens: string[];
}

/** A held-out row and its right answer. `answers[run][set]` is [place in `labels`, probability]; bit k of `set` says that direction k is off. The last two are without the layer's change, and without all changes. */
export interface ExampleAnswers {
  text: string | null;
  picture: string | null;
  right: string;
  labels: string[];
  answers: (([number, number | null])[])[];
}

/** A layer of one run, or of two: cosines of the updates and of their effects, with and without what is common to all tokens, the part of each that is outside the other's, and what they do along directions. */
export interface Together {
  updates: number | null;
  effects: number | null;
  centred: number | null;
  alone: number[];
  common: number[];
  directions: Direction[];
  examples: ExampleAnswers[];
}

/** A prediction that a lesson asks for, before its machine shows; `found`: what it has shown then. */
export interface Question {
  key: string;
  prompt: string;
  found: string;
}

/** `answers` are (answer, feedback); `right` is the index of the right one. */
export interface ChoiceQuestion extends Question {
  kind: "choice";
  answers: [string, string][];
  right: number;
}

/** A number from `low` to `high`; within `off` of `right` it counts as right. */
export interface EstimateQuestion extends Question {
  kind: "estimate";
  label: string;
  low: number;
  high: number;
  step: number;
  start: number;
  right: number;
  off: number;
  reply: string;
}

/** The machine is brought to a state, of which it tells by the question's key. */
export interface TaskQuestion extends Question {
  kind: "task";
  reply: string;
}

export interface QuestionsFixed {
  questions: (ChoiceQuestion | EstimateQuestion | TaskQuestion)[];
}

/** A lesson; `last` is its last question, with which it counts as answered. */
export interface ContentsEntry {
  key: string;
  title: string;
  last: string;
}

/** `formerly` maps former keys of lessons to the present ones. */
export interface ContentsFixed {
  lessons: ContentsEntry[];
  formerly: Record<string, string>;
}

/** Labels of a question's answers, which votes count from 1, and the correct vote. */
export interface ClassQuestion {
  prompt: string;
  labels: string[];
  right: number;
}

export interface ClassFixed {
  questions: Record<string, ClassQuestion>;
}

/** A class: what is shown, and votes by question and answer. `shown` counts showings, so that the same one can be shown again. `you`: the student's code in the table. */
export interface ClassSeen {
  lesson: string;
  question: string;
  shown: number;
  revealed: string[];
  votes: Record<string, Record<string, number>>;
  students: number;
  you: string;
}

/** Why the class cannot be joined. Other errors may pass. */
export interface ClassGone {
  gone: string;
}

/** `code`: the class's. `key`: its teacher's. `student`: made up by the browser. */
export interface ClassRequest {
  code?: string;
  key?: string;
  student?: string;
  address?: string;
  question?: string;
  given?: number;
}

/** An empty answer. */
export interface ClassDone {
}

export interface ClassStarted {
  code: string;
  key: string;
}

export interface ClassPicture {
  image: string;
}

export interface ClassTable {
  csv: string;
}

/** The best product found: relative error, and vectors in the order in which they apply to the input. */
export interface RecordedFit {
  m: number;
  error: number;
  vectors: number[][];
}

export interface RecordedTarget {
  key: string;
  title: string;
  target: number[];
  fits: RecordedFit[];
}

/** Matrices of n × n fitted by products. `dimensions` are those of the sets of matrices that products of m diagonals reach, from m = 1; `factors_needed`: the least m by counting, and the one that is proven to suffice. */
export interface RecordedFits {
  n: number;
  targets: RecordedTarget[];
  dimensions: number[];
  factors_needed: [number, number];
  command: string;
  date: string;
}

export interface ReachFixed extends Styled {
  recorded: RecordedFits;
}

/** Microseconds of a product row by row and by FFT, by length. */
export interface Crossover {
  lengths: number[];
  dense: number[];
  fft: number[];
  sentence: string;
}

/** One family's fit. `spread`, of a search: lowest, median, highest error at which random starts ended. */
export interface Fit {
  family: string;
  size: number;
  parameters: number;
  error: number;
  spread: number[];
}

/** `families`: the titles of the families by their keys. */
export interface LabFixed extends Styled {
  families: Record<string, string>;
}

/** A fit of a matrix by families: pictures are n × n bytes in base64, over -limit to limit. */
export interface LabView {
  running?: boolean;
  status?: string;
  sentence?: string;
  n?: number;
  limit?: number;
  fits?: Fit[];
  pictures?: Record<string, string>;
}

/** What each part may ask the server. */
export interface Servers {
  "compare/evidence": {
    evidence: Ask<object, EvidenceFigure[]>;
  };
  "compare/outcomes": {
    outcomes: Ask<OutcomesRequest, Outcomes | NoOutcomes>;
  };
  "compare/sweep/view": {
    go_on: Ask<GroupRequest, Done>;
    stop: Ask<GroupRequest, Done>;
    sweep: Ask<SweepViewRequest, SweepAnswer>;
  };
  "factors/tab": {
    effects: Ask<FromLayerRequest, Effects | Refused>;
    layer: Ask<LayerRequest, KeptVectors | Refused>;
    most_changed: Ask<FactorsRequest, MostChanged | Refused>;
    open: Ask<FactorsRequest, OpenedRun | Refused>;
    overview: Ask<FromLayerRequest, Overview | Refused>;
    runs: Ask<object, InspectedRuns | Refused>;
    singular: Ask<LayerRequest, SingularValues | NoSingularValues | Refused>;
    together: Ask<TogetherRequest, Together | Refused>;
    weights: Ask<FactorsRequest, Weights | Refused>;
  };
  "learn/class_bar": {
    reveal: Ask<ClassRequest, ClassDone | Refused>;
    seen: Ask<ClassRequest, ClassSeen | ClassGone | Refused>;
    show: Ask<ClassRequest, ClassDone | Refused>;
    vote: Ask<ClassRequest, ClassDone | Refused>;
  };
  "learn/class_start": {
    code: Ask<ClassRequest, ClassPicture | Refused>;
    start: Ask<object, ClassStarted | Refused>;
    table: Ask<ClassRequest, ClassTable | Refused>;
  };
  "learn/products": {
    crossover: Ask<object, Crossover | Refused>;
  };
  "page/header": {
    failed: Ask<ScriptError, null>;
    standing: Ask<object, Standing | null>;
    viewer: Ask<HeaderView, string>;
    where: Ask<object, string>;
  };
  "train/history": {
    races: Ask<RacesRequest, Races>;
    remove: Ask<GroupsRequest, Done>;
    rename: Ask<RenameRequest, Done>;
    set_private: Ask<PrivateRequest, Done>;
  };
  "train/recipes": {
    hub: Ask<object, HubReach>;
  };
  "train/run_view": {
    poll: Ask<PollRequest, RunsPoll>;
    verdict: Ask<VerdictRequest, RaceVerdict>;
  };
  "train/search": {
    go_on: Ask<GroupRequest, Done>;
    search: Ask<SearchViewRequest, SearchAnswer>;
    stop: Ask<GroupRequest, Done>;
  };
  "use/draw": {
    seen: Ask<Drawing, Seen | null>;
  };
}
