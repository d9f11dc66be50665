import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Reason } from '#model/reasons.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { DriverOutcome, DriverPorts, PerformContext, Precheck } from '#ports/driver.ts';
import type { Shadows } from '#ports/shadows.ts';
import type { OperationFacts, Undo } from './operations.ts';
import type { ChariotItem, ChariotOptions } from './options.ts';

export interface Target {
  readonly operation: Operation;
  readonly open: OpenOperation | null;
  readonly context: PerformContext;
}

/** What one operation works with. */
export interface Act extends Target {
  readonly ports: DriverPorts;
  readonly shadows: Shadows;
  readonly options: ChariotOptions;
  readonly item: ChariotItem;
  readonly facts: OperationFacts;
  /** What the last attempt left. */
  readonly undo: Undo | null;
  readonly place: { readonly thing: string; readonly shadow: null };
}

export type Refused = Extract<DriverOutcome, { kind: 'refused' }>;
export type Stop = Extract<DriverOutcome, { kind: 'refused' | 'trouble' }>;
export type Already = Extract<Precheck, { kind: 'already' }>;

/** A write that may be made of this document now. */
export interface Ready extends Pick<Undo, 'inverse' | 'expires' | 'tries' | 'nudged'> {
  readonly kind: 'ready';
  readonly patch: JsonObject;
}

export type Prepared = Ready | Already | Stop;

export function refused(reason: Reason, evidence: string): Refused {
  return { kind: 'refused', reason, evidence };
}
