import { callCount, shadowCallCount } from '#reconcile/object-calls.ts';
import type { PassReport } from '#reconcile/report.ts';
import { statusOf } from '#reconcile/status.ts';
import { closedText, eventText, metIn, outcomeText } from '#view/events.ts';
import { progressLine } from '#view/rollouts.ts';
import { dayTimeZone } from '#view/time.ts';
import { counted, tallyText } from '#view/words.ts';
import type { CliStream } from './context.ts';
import type { Fleet } from './fleet.ts';

/** What a person sees while passes go on. On a terminal the last line is rewritten; elsewhere lines are only added. */
export interface Progress {
  line(text: string): void;
  pass(report: PassReport): void;
  end(): void;
}

export interface ProgressOptions {
  readonly fleet: Pick<Fleet, 'paint' | 'world'>;
  readonly stream: CliStream;
  readonly live: boolean;
  /** Says nothing at all: the caller prints JSON at the end. */
  readonly quiet: boolean;
}

export function makeProgress({ fleet, stream, live, quiet }: ProgressOptions): Progress {
  let shown = '';
  const clear = (): void => {
    if (live && shown !== '') stream.write('\r\u001B[K');
    shown = '';
  };
  const line = (text: string): void => {
    if (quiet) return;
    clear();
    stream.write(`${text}\n`);
  };
  let last = '';
  return {
    line,
    pass: (report) => {
      if (report.result === null) return;
      for (const text of passLines(report, fleet.paint)) line(text);
      const summary = summaryLine(report);
      if (live) {
        clear();
        shown = summary.slice(0, Math.max(20, (stream.columns ?? 80) - 1));
        stream.write(shown);
      } else if (summary !== last) line(summary);
      last = summary;
    },
    end: () => {
      if (!live || last === '') return;
      clear();
      stream.write(`${last}\n`);
    },
  };
}

/** Events, operations that ended, and what came of those that were carried out. */
function passLines(report: PassReport, paint: Fleet['paint']): readonly string[] {
  const { result } = report;
  if (result === null) return [];
  const { zone } = result.declared.fleet;
  const time = paint('quiet', dayTimeZone(report.at, zone));
  const met = metIn(result.plan);
  const texts = [
    ...result.troubles.map(({ connection, code, message }) => paint('bad', `${connection}: ${code} ${message}`)),
    ...result.decision.closed.map((closed) =>
      paint(
        closed.closing === 'succeeded' ? 'good' : closed.closing === 'failed' ? 'bad' : 'warn',
        `${closedText({ ...closed, code: null })}: ${closed.evidence}`,
      ),
    ),
    ...result.decision.events.map((event) => paint(event.kind === 'rollout-halted' ? 'bad' : 'strong', eventText(event, zone))),
    ...result.executed.map(({ admitted, result: outcome }) => outcomeText(admitted, outcome, met.get(admitted.operation.id))),
  ];
  return texts.map((text) => `${time}  ${text}`);
}

/** Where the fleet is after the pass, in one line. */
function summaryLine(report: PassReport): string {
  const { result } = report;
  if (result === null) return '';
  const status = statusOf(result);
  const held = tallyText(result.decision.held.map(({ reason }) => reason));
  const names = result.plan.groups.map(({ group }) => group);
  const open = status.open === 0 ? '' : ` · ${status.open} under way`;
  const calls = result.objectCalls.reduce((sum, one) => sum + callCount(one), 0);
  const shadows = (result.shadowCalls ?? []).reduce((sum, one) => sum + shadowCallCount(one), 0);
  const asked = `${calls === 0 ? '' : ` · ${counted(calls, 'S3 call')}`}${shadows === 0 ? '' : ` · ${counted(shadows, 'shadow call')}`}`;
  return `${status.converged}/${status.devices} converged${open} · ${progressLine(result.view, names)}${held === '' ? '' : ` · held: ${held}`}${asked}`;
}
