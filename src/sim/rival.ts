import type { JsonObject } from '#model/shadow.ts';

/** Somebody else who writes desired right after the engine has read that shadow, so many times. */
export interface Rival {
  readonly thing: string;
  readonly shadow: string;
  readonly desired: JsonObject;
  left: number;
}
