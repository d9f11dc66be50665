import { compareText } from '#kit/diagnostics.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { ArtifactProblem } from '#ports/artifacts.ts';
import type { Driver, DriverOutcome, DriverPorts, ObserveAnswer, ObserveRequest, PerformContext, Precheck } from '#ports/driver.ts';
import type { Journal } from '#ports/responder.ts';
import { Ears } from './driver-ears.ts';
import { drogueOptions } from './options.ts';
import { reportOf, stateOf } from './reports.ts';
import { NOTHING_KNOWN, readState, type DeviceState } from './state.ts';

const FAMILY = 'drogue';

type Refused = Extract<Precheck, { kind: 'refused' }>;

/**
 * Devices that ask are served by the responder; the driver brings what it heard and told into the passes. An offer lies in
 * the ledger, so performing one only makes sure that its bytes are there. Where no responder runs in this process the
 * driver listens itself, and offers nothing.
 */
export function makeDrogueDriver(ports: DriverPorts): Driver {
  return new DrogueDriver(ports);
}

class DrogueDriver implements Driver {
  readonly #ports: DriverPorts;
  readonly #states = new Map<DeviceId, DeviceState>();
  readonly #changed = new Set<DeviceId>();
  readonly #ears: Ears;
  #position = 0;
  #since: Instant | null = null;

  constructor(ports: DriverPorts) {
    this.#ports = ports;
    this.#ears = new Ears(ports, (device, change) => this.#hear(device, change));
  }

  async observe(request: ObserveRequest): Promise<ObserveAnswer> {
    const { journal } = this.#ports;
    const troubles = journal === undefined ? await this.#ears.listen(request) : [];
    this.#since ??= this.#ports.clock.now();
    if (request.listenMs > 0 && troubles.length === 0) await this.#pause(request);
    if (journal !== undefined) await this.#read(journal);
    return { reports: this.#collect(request), troubles };
  }

  elsewhere(operation: Operation): string | null {
    return this.#ports.journal === undefined && operation.kind === 'change' ? NO_RESPONDER.evidence : null;
  }

  async precheck(operation: Operation, open: OpenOperation | null, context: PerformContext): Promise<Precheck> {
    const { journal } = this.#ports;
    if (journal !== undefined) await this.#read(journal);
    else if (operation.kind === 'change') return NO_RESPONDER;
    const state = this.#stateOf(context.device.id, context.reported);
    return operation.kind === 'withdraw' ? lookAtWithdrawal(operation, state) : this.#look(operation, open, { state, context });
  }

  async perform(operation: Operation, _open: OpenOperation | null, context: PerformContext): Promise<DriverOutcome> {
    const performed = { kind: 'performed', reference: this.#ports.clock.now(), undo: null } as const;
    if (operation.kind === 'withdraw') return performed;
    if (this.#ports.journal === undefined) return NO_RESPONDER;
    if (context.content === null) return { kind: 'refused', reason: 'UNSUPPORTED', evidence: 'the operation carries no image' };
    const found = await this.#ports.artifacts.bytes(context.content, context.signal);
    return found.ok ? { ...performed, reference: this.#ports.clock.now() } : outcomeOf(found.error);
  }

  close(): Promise<void> {
    this.#ears.close();
    return Promise.resolve();
  }

  /** What the journal says since the last time: the newest of each device. */
  async #read(journal: Journal): Promise<void> {
    const { entries, position } = await journal.read(this.#position);
    this.#position = position;
    for (const { family, device, state } of entries) {
      const read = family === FAMILY ? readState(state) : null;
      if (read === null) continue;
      this.#states.set(device, read);
      this.#changed.add(device);
    }
  }

  #hear(device: DeviceId, change: (state: DeviceState) => DeviceState): void {
    this.#states.set(device, change(this.#states.get(device) ?? NOTHING_KNOWN));
    this.#changed.add(device);
  }

  #stateOf(device: DeviceId, last: ReportedDevice | undefined): DeviceState {
    return this.#states.get(device) ?? stateOf(last);
  }

  async #pause({ listenMs, signal }: ObserveRequest): Promise<void> {
    try {
      await this.#ports.clock.sleep(listenMs, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #collect(request: ObserveRequest): readonly ReportedDevice[] {
    const now = this.#ports.clock.now();
    const reports: ReportedDevice[] = [];
    for (const { id, options } of request.devices) {
      if (!this.#changed.has(id) && !request.isOpen(id)) continue;
      const state = this.#merged(id, request.last(id));
      if (state === NOTHING_KNOWN) continue;
      const witnessed = this.#ports.journal !== undefined;
      reports.push(reportOf(id, state, { options: drogueOptions(options), now, listeningSince: this.#since, witnessed }));
    }
    this.#changed.clear();
    return reports.toSorted((a, b) => compareText(a.device, b.device));
  }

  /** Without a journal nothing is known of offers but what an earlier report says. */
  #merged(device: DeviceId, last: ReportedDevice | undefined): DeviceState {
    const own = this.#states.get(device);
    const before = stateOf(last);
    if (own === undefined) return before;
    return this.#ports.journal === undefined ? { ...before, ...own, job: before.job } : own;
  }

  #look(operation: Operation, open: OpenOperation | null, at: { readonly state: DeviceState; readonly context: PerformContext }): Precheck {
    const { state, context } = at;
    if (operation.hardware !== context.device.hardware) return refused('IDENTITY_MISMATCH', 'the operation was planned for other hardware');
    const report = this.#reportNow(context.device, state);
    if (report.problem !== null) return refused(report.problem.reason, report.problem.detail);
    const job = state.job?.operation === operation.id ? state.job : null;
    // An intent is an offer already: it is served as soon as it stands in the ledger.
    if (open !== null || job !== null) {
      const reference = open?.reference ?? open?.intendedAt ?? job?.begunAt ?? this.#ports.clock.now();
      return { kind: 'already', reference, undo: null };
    }
    const running = report.items.firmware;
    if (running?.kind !== 'value') return refused('NEVER_REPORTED', 'the device has never asked');
    if (running.value === operation.expected) return { kind: 'clear' };
    return refused('PRECONDITION_MOVED', `runs ${running.value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  }

  #reportNow(device: DeclaredDevice, state: DeviceState): ReportedDevice {
    const now = this.#ports.clock.now();
    return reportOf(device.id, state, { options: drogueOptions(device.options), now, listeningSince: this.#since, witnessed: true });
  }
}

const NO_RESPONDER: Refused = {
  kind: 'refused',
  reason: 'UNSUPPORTED',
  evidence: 'nobody answers its devices here: needs the daemon',
};

function refused(reason: Refused['reason'], evidence: string): Refused {
  return { kind: 'refused', reason, evidence };
}

/** From Swap on it is taken, and what is taken is not withdrawn. */
function lookAtWithdrawal(operation: Operation, { job }: DeviceState): Precheck {
  const taken = job !== null && job.operation === operation.withdraws && (job.swapAt !== null || job.ranAt !== null);
  return taken
    ? refused('PRECONDITION_MOVED', `the device was told to swap to ${job.version} before it could be withdrawn`)
    : { kind: 'clear' };
}

function outcomeOf(problem: ArtifactProblem): DriverOutcome {
  if (problem.code === 'UNREACHABLE') return { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', evidence: problem.message, retry: 'later' };
  return { kind: 'refused', reason: 'ARTIFACT_UNVERIFIED', evidence: problem.message };
}
