import type { DeclaredItem } from '#model/declared.ts';
import type { Confirmation, OpenOperation, OperationDraft, OperationRecord } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { drogueOptions } from './options.ts';
import { isWitnessed, jobOf } from './reports.ts';
import type { Job } from './state.ts';

/** Of an operation that another version recorded without it. */
const LOST_AFTER_MS = 1_800_000;

/** One offer: the responder serves it as soon as the intent is in the ledger. */
export function operationsFor({ device, items, reported, drifted }: OperationsRequest): OperationsAnswer {
  const declared = items.find(({ item }) => item === 'firmware');
  if (declared === undefined || !drifted.includes('firmware')) return { drafts: [], impossible: [] };
  const size = declared.content?.size ?? null;
  if (size !== null && size > 0xffff_ffff) {
    const evidence = `the image has ${size} bytes; offsets have 32 bits`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'INCOMPATIBLE', evidence }] };
  }
  return { drafts: [offerDraft(declared, reported, drogueOptions(device.options).lostAfterMs)], impossible: [] };
}

function offerDraft(declared: DeclaredItem, reported: ReportedDevice, silenceMs: number): OperationDraft {
  const running = reported.items.firmware;
  return {
    item: 'firmware',
    step: 'firmware',
    kind: 'change',
    delivery: 'offer',
    declared: declared.value,
    expected: running?.kind === 'value' ? running.value : null,
    facts: { lostAfterMs: silenceMs },
    content: declared.content,
    deadlineMs: silenceMs,
    effects: ['restarts the device'],
    disturbs: true,
  };
}

export function lostAfterMs(operation: OperationRecord): number {
  const { facts } = operation;
  const written = typeof facts === 'object' && facts !== null && 'lostAfterMs' in facts ? facts['lostAfterMs'] : null;
  return typeof written === 'number' ? written : LOST_AFTER_MS;
}

/** Taken out of the ledger it is out of force: the device is told to wait. Nothing is sent for it. */
export function withdrawalOf({ operation }: OpenOperation): readonly OperationDraft[] {
  if (operation.kind !== 'change') return [];
  const common = { item: operation.item, kind: 'withdraw', delivery: 'push', content: null, effects: [], disturbs: false } as const;
  const facts = { offer: operation.id };
  return [
    { ...common, step: 'withdraw-firmware', declared: operation.expected ?? '', expected: null, facts, deadlineMs: operation.deadlineMs },
  ];
}

/**
 * By what the responder heard: proven is the first status of the new version after Sync was told. From Swap on it is
 * taken: only the device itself can go back then (docs/protocols/drogue-dfu.md §7.4).
 */
export function confirmationOf(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation } = open;
  if (operation.kind === 'withdraw') return { kind: 'confirmed', evidence: 'the device is told to wait' };
  const firmware = reported.items.firmware;
  const job = jobOf(reported);
  const say = (phase: 'OFFERED' | 'VERIFYING', evidence: string, takenAt: number | null = null): Confirmation => ({
    kind: 'open',
    phase,
    takenAt: open.takenAt ?? takenAt,
    oldValueSeenAt: null,
    evidence,
  });
  if (job === null || job.operation !== operation.id) {
    const made = firmware?.kind === 'value' ? firmware.madeNotBefore : null;
    const fresh = made !== null && made > (open.reference ?? open.intendedAt);
    if (firmware?.kind === 'value' && fresh && firmware.value === operation.declared && job === null && isWitnessed(reported)) {
      return { kind: 'confirmed', evidence: `reports ${firmware.value}` };
    }
    return say(
      'OFFERED',
      job !== null && job.phase !== 'failed' && job.provenAt === null ? heldText(job) : 'the device has not asked since',
    );
  }
  if (job.failure !== null) return { kind: 'failed', code: job.failure.code, evidence: job.failure.text };
  if (job.provenAt !== null) return { kind: 'confirmed', evidence: `reports ${job.version} after it was marked good` };
  if (job.phase === 'writing') return say('OFFERED', progressText(job));
  if (job.phase === 'jumped') return say('OFFERED', 'part of the image is missing; it begins anew once the device restarts');
  return say('VERIFYING', verifyingText(job), job.swapAt ?? job.ranAt);
}

function progressText({ told, size }: Job): string {
  return told === null ? 'the device begins the image' : `the device has ${told.offset} of ${size} bytes`;
}

function heldText(job: Job): string {
  return job.phase === 'writing' || job.phase === 'jumped'
    ? `the device holds part of ${job.version}; it is given another image once it restarts (options: restartSafe)`
    : `the device is not done with ${job.version}`;
}

function verifyingText({ phase, version }: Job): string {
  if (phase === 'swapping') return `the device was told to swap to ${version}`;
  return phase === 'trial' ? `runs ${version} on trial; its health is awaited` : `${version} was marked good; the next status proves it`;
}
