import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport, PassResult } from '#reconcile/report.ts';
import type { DemoStage } from './stage.ts';

export interface PhaseReport {
  readonly name: string;
  readonly commit: string | null;
  readonly began: string;
  readonly ended: string;
  readonly passes: number;
  readonly operations: number;
  readonly end: 'converged' | 'halted' | 'adopted';
}

export interface DemoReport {
  readonly converged: boolean;
  readonly halted: boolean;
  readonly rolledBack: boolean;
  readonly devices: number;
  readonly operations: number;
  readonly falseConverged: number;
  readonly seed: number;
  readonly phases: readonly PhaseReport[];
}

/** Passes of the demo come as a schedule would make them. */
const EVERY_MS = 10 * MINUTE_MS;
/** The example waits for working hours and soaks; a phase that takes longer than this is stuck. */
const PHASE_LIMIT_MS = 14 * 24 * HOUR_MS;

export interface PhaseRequest {
  readonly name: string;
  readonly until: PhaseReport['end'];
  readonly newLedger?: boolean;
}

export interface PhaseEnd {
  readonly report: PhaseReport;
  readonly result: PassResult;
  /** Devices that some pass counted as converged while the hardware carried something else. */
  readonly falseConverged: number;
}

/** Passes until the fleet is where the phase leads to. Throws when it does not get there within two weeks of virtual time. */
export async function runPhase(stage: DemoStage, request: PhaseRequest, onPass: (report: PassReport) => Promise<void>): Promise<PhaseEnd> {
  const began = stage.now();
  let operations = 0;
  let falseConverged = 0;
  for (let passes = 1; stage.now() - began < PHASE_LIMIT_MS; passes += 1) {
    const report = await stage.run(
      runPass(stage.world, stage.state, {
        mode: 'apply',
        nextPassMs: EVERY_MS,
        newLedger: request.newLedger === true,
        listenMs: request.newLedger === true ? 35 * MINUTE_MS : 0,
      }),
    );
    await onPass(report);
    if (report.result === null)
      throw new Error(`the demo met ${report.refusal?.code ?? 'an invalid revision'}: ${report.refusal?.message ?? ''}`);
    operations += report.result.executed.filter((one) => one.result.kind === 'performed').length;
    falseConverged += falselyConverged(stage, report.result);
    if (hasEnded(report, request)) {
      const commit = report.result.declared.revision.commit;
      const times = { began: new Date(began).toISOString(), ended: new Date(stage.now()).toISOString() };
      return {
        report: { name: request.name, commit, ...times, passes, operations, end: request.until },
        result: report.result,
        falseConverged,
      };
    }
    await stage.advance(EVERY_MS);
  }
  throw new Error(`the phase ${request.name} of the demo did not end`);
}

function hasEnded(report: PassReport, request: PhaseRequest): boolean {
  switch (request.until) {
    case 'adopted':
      return true;
    case 'halted':
      return report.exit === 3;
    case 'converged':
      return report.exit === 0 && report.result?.decision.held.length === 0;
  }
}

/** Compares what the plan counts as converged with the simulated hardware itself. */
function falselyConverged(stage: DemoStage, result: PassResult): number {
  const listed = new Set(result.plan.devices.filter((device) => !device.converged).map((device) => device.device));
  let count = 0;
  for (let row = 0; row < result.declared.size; row += 1) {
    const device = result.declared.deviceAt(row);
    const truth = stage.devices.get(device.id)?.truth();
    if (device.group === null || listed.has(device.id) || truth === undefined) continue;
    if (device.items.some((item) => truth[item.item] !== item.value)) count += 1;
  }
  return count;
}
