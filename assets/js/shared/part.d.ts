// What a part of the page gets from cdvft_app/ui/shared/component.py when it is mounted.

/** A function on the server, of one argument. */
export type Ask<Asked, Answer> = (asked: Asked) => Promise<Answer>;

export interface Part<Value, Fixed = object, Server = object> {
  element: HTMLElement;
  /** `value` may change, which `watch` tells; the others never do. */
  props: { value: Value } & Fixed;
  server: Server;
  trigger: (event: string, data?: object) => void;
  watch: (property: "value", changed: () => void) => void;
}
