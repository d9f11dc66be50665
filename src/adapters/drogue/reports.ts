import type { Json } from '#kit/canonical.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DrogueOptions } from './options.ts';
import { trialIsOver } from './decide.ts';
import type { DeviceState, Job } from './state.ts';
import { NOTHING_KNOWN } from './state.ts';

export interface ReportContext {
  readonly options: DrogueOptions;
  readonly now: Instant;
  /** Since when somebody listens without a gap, null when nobody does; silence before it is none. */
  readonly listeningSince: Instant | null;
  /** A responder of ours heard it, and so knows what the device was told. */
  readonly witnessed: boolean;
}

/** What is known of a device as a report. An image on trial is spelled so that it never equals a declared version. */
export function reportOf(device: DeviceId, state: DeviceState, context: ReportContext): ReportedDevice {
  const { heard, odd, measures } = state;
  const { now, listeningSince } = context;
  const readings = Object.entries(measures).map(([name, { value, at }]) => [name, { value, madeNotBefore: at }] as const);
  const silentMs =
    heard === null || listeningSince === null ? {} : { silentMs: Math.max(0, Math.min(now - heard.at, now - listeningSince)) };
  const reason = odd?.kind === 'STRANGER' ? 'IDENTITY_MISMATCH' : 'REPORT_UNREADABLE';
  return {
    device,
    serial: null,
    model: null,
    heardAt: heard?.at ?? null,
    online: null,
    gapMs: null,
    ...silentMs,
    problem: odd === null ? null : { reason, detail: odd.text },
    items: firmwareOf(state, context),
    measures: Object.fromEntries(readings),
    signs: [],
    memo: { state: stateMemo(state) },
  };
}

function firmwareOf({ heard, odd, job }: DeviceState, { options, now, witnessed }: ReportContext): ReportedDevice['items'] {
  if (heard === null) {
    return odd?.kind === 'UNREADABLE'
      ? { firmware: { kind: 'unknown', why: 'REPORT_UNREADABLE', detail: odd.text, source: 'status' } }
      : {};
  }
  const shown = job === null ? null : judged(job, { options, now });
  const facts = { version: heard.version, since: heard.since, update: heard.update, warnings: heard.warnings, job: shown, witnessed };
  const firmware: ReportedItem = {
    kind: 'value',
    value: reportedVersion(heard.version, shown),
    facts: facts as unknown as Json,
    madeNotBefore: heard.at,
    source: 'status',
  };
  return { firmware };
}

/** A device that fell silent on trial is judged by the time: it says nothing more that could be answered. */
function judged(job: Job, { options, now }: Pick<ReportContext, 'options' | 'now'>): Job {
  if (!trialIsOver(job, options, now)) return job;
  const text = `${job.version} was on trial and its health did not hold`;
  return { ...job, phase: 'failed', failure: { code: 'TRIAL_FAILED', at: now, text } };
}

function reportedVersion(version: string, job: Job | null): string {
  const committed = job === null || job.version !== version || job.provenAt !== null || job.ranAt === null;
  return committed ? version : `${version}, on trial`;
}

/** What a report keeps for the next one, where no journal does. */
function stateMemo(state: DeviceState): Json {
  return state as unknown as Json;
}

/** The state that an earlier report was made of. */
export function stateOf(report: ReportedDevice | undefined): DeviceState {
  const memo = report?.memo['state'];
  if (typeof memo !== 'object' || memo === null || Array.isArray(memo)) return NOTHING_KNOWN;
  return { ...NOTHING_KNOWN, ...(memo as unknown as Partial<DeviceState>) };
}

/** Whether a responder of ours heard the report. */
export function isWitnessed(reported: ReportedDevice): boolean {
  const firmware = reported.items.firmware;
  const facts = firmware?.kind === 'value' ? firmware.facts : null;
  return typeof facts === 'object' && facts !== null && 'witnessed' in facts && facts['witnessed'] === true;
}

/** The offer that the device came for, as its report says it. */
export function jobOf(reported: ReportedDevice): Job | null {
  const firmware = reported.items.firmware;
  if (firmware?.kind !== 'value' || typeof firmware.facts !== 'object' || firmware.facts === null || Array.isArray(firmware.facts))
    return null;
  const { job = null } = firmware.facts as Readonly<Record<string, Json>>;
  return typeof job === 'object' && job !== null && !Array.isArray(job) ? (job as unknown as Job) : null;
}
