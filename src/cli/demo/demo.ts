import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport, PassResult } from '#reconcile/report.ts';
import { historyLines, historyText } from '#view/history.ts';
import { planText } from '#view/plan-text.ts';
import { devicesText, statusText } from '#view/status.ts';
import { painter } from '#view/table.ts';
import type { Paint } from '#view/table.ts';
import { dayTimeZone } from '#view/time.ts';
import type { CliContext } from '#cli/context.ts';
import { wantsColour } from '#cli/context.ts';
import { outputs, withTroubles } from '#cli/fleet.ts';
import { makeProgress } from '#cli/progress.ts';
import type { Progress } from '#cli/progress.ts';
import { startDemo } from './stage.ts';
import type { DemoStage } from './stage.ts';
import { runPhase } from './story.ts';
import type { DemoReport, PhaseEnd, PhaseRequest } from './story.ts';

export interface DemoFlags {
  readonly report?: string;
  readonly seed: number;
}

const UPGRADE = [
  ['cr1000x-os@8.2.1', 'cr1000x-os@8.5.1'],
  ['cr6-os@14.2.0', 'cr6-os@14.5.1'],
] as const;
const VEHICLES = [
  ['canedge2@01.08.05', 'canedge2@01.09.03'],
  ['canedge3-gnss@01.08.05', 'canedge3-gnss@01.09.03'],
] as const;
const BAD = [['cr1000x-os@8.5.1', 'cr1000x-os@8.6.0']] as const;
/** The CR1000X besides the canary: they will not boot 8.6.0. */
const BOOT_BACK = ['cow-green', 'great-dun-fell', 'widdybank-fell'];

/** A real wait between passes where somebody watches, so that they can. */
const WATCHED_PASS_MS = 60;

export function demo(context: CliContext, flags: DemoFlags): Promise<void> {
  const { cli } = context;
  return withTroubles(context, async () => {
    const stage = await startDemo(flags.seed);
    const paint = painter(wantsColour(cli));
    const live = cli.stdout.isTTY === true;
    const progress = makeProgress({ fleet: { paint, world: stage.world }, stream: cli.stdout, live, quiet: false });
    try {
      const report = await tell({ stage, paint, progress, live, seed: flags.seed, say: outputs(context).out });
      if (flags.report !== undefined) await writeFile(resolve(cli.cwd, flags.report), `${JSON.stringify(report, null, 2)}\n`);
      return report.converged && report.halted && report.rolledBack && report.falseConverged === 0 ? 0 : 1;
    } finally {
      await stage.close();
    }
  });
}

interface Telling {
  readonly stage: DemoStage;
  readonly paint: Paint;
  readonly progress: Progress;
  readonly live: boolean;
  readonly seed: number;
  say(text: string): void;
}

async function tell(telling: Telling): Promise<DemoReport> {
  const { stage } = telling;
  chapter(telling, 'The network as it stands: ten loggers on MQTT, eight vehicles on S3. The ledger begins with what they report.');
  const adopted = await phase(telling, { name: 'adopt', until: 'adopted', newLedger: true });

  chapter(telling, 'A commit upgrades the loggers and the vehicles. What a merge would do:');
  await stage.change({ file: 'groups/upland-met.yaml', replace: UPGRADE, message: 'CR1000X to 8.5.1, CR6 to 14.5.1' });
  await stage.change({ file: 'groups/vehicles.yaml', replace: VEHICLES, message: 'Vehicles to 01.09.03' });
  await showPlan(telling);
  const upgraded = await phase(telling, { name: 'upgrade', until: 'converged' });

  chapter(telling, 'The next commit pins a firmware that the canary likes and most loggers boot back from. The second wave stops it:');
  await stage.change({ file: 'groups/upland-met.yaml', replace: BAD, message: 'CR1000X to 8.6.0' });
  for (const name of BOOT_BACK) stage.devices.get(name)?.fault('bootBack', true);
  const halted = await phase(telling, { name: 'bad firmware', until: 'halted' });
  telling.say(statusText(halted.result, telling.paint));

  chapter(telling, 'git revert is the way back:');
  await stage.revert();
  const home = await phase(telling, { name: 'revert', until: 'converged' });

  chapter(telling, 'The fleet, and what happened to whom:');
  telling.say(devicesText(home.result, null, telling.paint));
  await showHistory(telling, home.result);
  const phases = [adopted, upgraded, halted, home];
  const ended = [...home.result.view.groups.values()].flatMap((group) => group.past);
  return {
    converged: home.report.end === 'converged',
    halted: halted.report.end === 'halted',
    rolledBack: ended.some((rollout) => rollout.direction === 'rollback' && rollout.end === 'completed'),
    devices: home.result.declared.size,
    operations: phases.reduce((sum, one) => sum + one.report.operations, 0),
    falseConverged: phases.reduce((sum, one) => sum + one.falseConverged, 0),
    seed: telling.seed,
    phases: phases.map((one) => one.report),
  };
}

function chapter(telling: Telling, text: string): void {
  telling.say(`\n${telling.paint('strong', text)}\n`);
}

async function phase(telling: Telling, request: PhaseRequest): Promise<PhaseEnd> {
  const onPass = async (report: PassReport): Promise<void> => {
    telling.progress.pass(report);
    if (telling.live) await new Promise((resume) => setTimeout(resume, WATCHED_PASS_MS));
  };
  const end = await runPhase(telling.stage, request, onPass);
  telling.progress.end();
  return end;
}

async function showPlan(telling: Telling): Promise<void> {
  const { stage } = telling;
  const report = await stage.run(runPass(stage.world, stage.state, { mode: 'plan', reports: await lastReports(telling) }));
  if (report.result !== null) telling.say(planText(report.result, telling.paint));
}

async function lastReports(telling: Telling) {
  const { stage } = telling;
  const loaded = await stage.run(runPass(stage.world, stage.state, { mode: 'plan', reports: [] }));
  const ledger = loaded.result === null ? null : await stage.world.ledger(loaded.result.declared.fleet);
  return ledger === null ? [] : stage.run(ledger.reports.load());
}

async function showHistory(telling: Telling, result: PassResult): Promise<void> {
  const { zone } = result.declared.fleet;
  const ledger = await telling.stage.world.ledger(result.declared.fleet);
  const lines = historyLines(await telling.stage.run(ledger.read()), null, zone);
  telling.say(`\n${historyText(lines, zone)}\n${dayTimeZone(telling.stage.now(), zone)}`);
}
