import type { Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Reason } from '#model/reasons.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { DriverOutcome, DriverPorts, PerformContext, Precheck } from '#ports/driver.ts';
import type { Shadows } from '#ports/shadows.ts';
import type { OperationFacts } from './operations.ts';
import type { ShadowOptions } from './options.ts';

export interface Target {
  readonly operation: Operation;
  readonly open: OpenOperation | null;
  readonly context: PerformContext;
}

/** What one operation works with. */
export interface Act extends Target {
  readonly ports: DriverPorts;
  readonly shadows: Shadows;
  readonly options: ShadowOptions;
  readonly facts: OperationFacts;
  readonly place: { readonly thing: string; readonly shadow: string | null };
}

export type Refused = Extract<DriverOutcome, { kind: 'refused' }>;
export type Stop = Extract<DriverOutcome, { kind: 'refused' | 'trouble' }>;

/** A write that may be made of this document now. */
export interface Ready {
  readonly kind: 'ready';
  readonly patch: JsonObject;
  readonly inverse: JsonObject;
  readonly expires: Instant | null;
}

export type Prepared = Ready | Extract<Precheck, { kind: 'already' }> | Stop;

export function refused(reason: Reason, evidence: string): Refused {
  return { kind: 'refused', reason, evidence };
}
