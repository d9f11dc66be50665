import { shortDigest, type OperationId } from '#model/ids.ts';
import type { RecordBody } from '#model/records.ts';
import type { Admitted, Closed, DeviceOutcome, RolloutEvent } from '#model/rollout.ts';
import type { OutcomeResult } from '#model/records.ts';
import { stepToName, type OperationRecord } from '#model/operation.ts';
import type { Plan } from '#model/plan.ts';
import { counted, firstOf, shortValue } from './words.ts';
import { dayTimeZone } from './time.ts';

/** One line for people of what a decision changed in a rollout. */
export function eventText(event: RolloutEvent, zone: string): string {
  switch (event.kind) {
    case 'adopted':
      return `${event.group}: release ${shortDigest(event.entry.release)} is taken as the present one`;
    case 'rollout-began': {
      const { group, to, direction, changed } = event.rollout;
      return `${group}: ${direction === 'rollback' ? 'rollback' : 'rollout'} to ${shortDigest(to)} begins, ${counted(changed.length, 'device')}`;
    }
    case 'wave-opened':
      return `${event.group}: wave ${event.wave} opens for ${firstOf(event.members)}`;
    case 'wave-met':
      return `${event.group}: wave ${event.wave} has met its counts, the soak begins`;
    case 'wave-unmet':
      return `${event.group}: wave ${event.wave} no longer meets its counts`;
    case 'wave-passed':
      return `${event.group}: wave ${event.wave} has passed (${event.because})`;
    case 'device-outcomes':
      return `${event.group}: ${event.outcomes.map(deviceOutcomeText).join('; ')}`;
    case 'devices-began':
      return `${event.group}: begins on ${firstOf(event.devices.map((one) => one.device))}`;
    case 'devices-settled':
      return `${event.group}: settled ${firstOf(event.devices)}`;
    case 'devices-down':
      return `${event.group}: down ${firstOf(event.devices.map((one) => one.device))}`;
    case 'devices-up':
      return `${event.group}: heard again ${firstOf(event.devices)}`;
    case 'device-again':
      return `${event.group}: ${event.device} may try again`;
    case 'rollout-halted':
      return `${event.group}: HALTED${event.wave === null ? '' : ` in wave ${event.wave}`}: ${event.evidence}`;
    case 'rollout-resumed':
      return `${event.group}: resumed by an approval`;
    case 'rollout-completed':
      return `${event.group}: completed ${shortDigest(event.entry.release)}${event.watchUntil === null ? '' : `, watched until ${dayTimeZone(event.watchUntil, zone)}`}`;
    case 'watch-ended':
      return `${event.group}: the watch has ended`;
    case 'rollout-stopped':
      return `${event.group}: rollout stopped, ${event.because}`;
  }
}

function deviceOutcomeText({ device, outcome }: { readonly device: string; readonly outcome: DeviceOutcome }): string {
  return `${device} ${outcome.kind}${outcome.code === null ? '' : ` ${outcome.code}`}: ${outcome.evidence}`;
}

/** How an operation ended, without the evidence: `barn firmware commit succeeded`, `dam firmware failed ROLLED_BACK`. */
export function closedText({ device, item, step, closing, code }: Pick<Closed, 'device' | 'item' | 'step' | 'closing' | 'code'>): string {
  return `${device} ${item}${step === undefined ? '' : ` ${step}`} ${closing}${code === null ? '' : ` ${code}`}`;
}

/** `moor-house firmware CR1000X.8.2.1 → CR1000X.8.5.1`; one of several steps by its name: `barn firmware commit, … → …`. */
export function operationText(
  operation: Pick<OperationRecord, 'device' | 'item' | 'step' | 'kind' | 'declared' | 'expected' | 'completes'>,
): string {
  if (operation.kind === 'withdraw') return `${operation.device} ${operation.item} offer withdrawn (${operation.step})`;
  const step = stepToName(operation);
  return `${operation.device} ${operation.item} ${step === null ? '' : `${step}, `}${shortValue(operation.expected ?? 'unknown')} → ${shortValue(operation.declared)}`;
}

/** What the last attempt of each operation met that the reports say did not get there, by its id. */
export function metIn({ devices }: Pick<Plan, 'devices'>): ReadonlyMap<OperationId, string> {
  const met = devices.flatMap(({ open }) =>
    open.flatMap(({ open: { operation }, confirmation }) =>
      confirmation.kind === 'trouble' ? [[operation.id, `${confirmation.code}: ${confirmation.evidence}`] as const] : [],
    ),
  );
  return new Map(met);
}

/** What came of one operation, for a line of progress; `met` says why it is told again (metIn). */
export function outcomeText(admitted: Admitted, result: OutcomeResult, met?: string): string {
  const what = operationText(admitted.operation);
  switch (result.kind) {
    case 'performed': {
      const again = met === undefined ? '' : `, attempt ${admitted.attempt} after ${met}`;
      return `${what}: ${admitted.operation.delivery === 'offer' ? 'offered' : 'sent'}${again}`;
    }
    case 'already':
      return `${what}: was already done`;
    case 'refused':
      return `${what}: refused, ${result.reason} ${result.evidence}`;
    case 'trouble':
      return `${what}: ${result.code} ${result.evidence}`;
  }
}

/** A record of the ledger as one line; null for bookkeeping that says nothing to people. */
export function recordText(body: RecordBody, zone: string): string | null {
  switch (body.type) {
    case 'genesis':
      return `ledger ${body.ledger} begins for ${body.fleet}`;
    case 'pass':
      return null;
    case 'inventory':
      return `inventory: ${counted(body.set.length, 'device')} set${body.left.length === 0 ? '' : `, left: ${firstOf(body.left)}`}`;
    case 'event':
      return eventText(body.event, zone);
    case 'intent':
      return `${operationText(body.operation)}: attempt ${body.attempt}`;
    case 'outcome':
      return body.result.kind === 'trouble' || body.result.kind === 'refused'
        ? `attempt ${body.attempt}: ${body.result.kind}, ${body.result.evidence}`
        : null;
    case 'taken':
      return null;
    case 'converged':
      return null;
    case 'pinned':
      return `key pinned: ${firstOf(body.entries.map(({ device }) => device))}`;
    case 'closed':
      return `${closedText(body)}: ${body.evidence}`;
  }
}
