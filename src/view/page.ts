import type { Place } from '#kit/diagnostics.ts';
import type { DeviceId } from '#model/ids.ts';
import { shortDigest } from '#model/ids.ts';
import { changeParts } from './answer.ts';
import { awsCallsText, awsCostSource } from './aws-costs.ts';
import type { CommentOptions } from './comment-options.ts';
import { code, link, oneLine, prose } from './markdown.ts';
import type { PlanView } from './pass.ts';
import type { NextWaves, PlanSummary } from './plan-summary.ts';
import { dayTimeZone } from './time.ts';
import { counted, effectOf, withoutModel } from './words.ts';

/** What every section of a page of markdown is made of: the plan, its summary made once, and where links lead. */
export interface PlanPage {
  readonly view: PlanView;
  readonly summary: PlanSummary;
  readonly options: Omit<CommentOptions, 'path'>;
  readonly zone: string;
}

/** The answer in one line: `41 of 120 devices change, 3 are refused, 2 are frozen; canary first: 4 devices`. */
export function answerLine(summary: PlanSummary, zone: string): string {
  const { refused, frozen, leaving, groups } = summary;
  const halted = groups.filter(({ phase }) => phase === 'halted').length;
  const states: readonly (readonly [number, string])[] = [
    [refused.length, 'is refused'],
    [frozen.length, 'is frozen'],
    [leaving.length, 'leaves'],
  ];
  const parts = states.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${effectOf(count, what)}`]));
  const halts = halted === 0 ? [] : [`${counted(halted, 'rollout')} ${effectOf(halted, 'is')} halted`];
  const head = [...changeParts(summary).map((part) => prose(part, 400)), ...parts, ...halts].join(', ');
  const waits = summary.mergeHeld === null ? '' : '; the merge waits for approval';
  return `${head}${waits}${waits === '' ? nextText(summary, zone) : ''}`;
}

const MOST_WAVES = 2;

const PLACES: Readonly<Record<NextWaves['place'], string>> = { only: '', first: 'first', open: 'open', next: 'next' };

function nextText({ next, first, admitted }: PlanSummary, zone: string): string {
  if (next !== null) {
    const wave = next.waves.length > MOST_WAVES ? '' : `${next.waves.map((name) => prose(name, 40)).join(' and ')} `;
    const when = next.at === null ? '' : `, ${dayTimeZone(next.at, zone)}`;
    const rollback = next.rollback ? 'rollback, ' : '';
    return `; ${rollback}${`${wave}${PLACES[next.place]}`.trim() || 'first'}: ${counted(next.devices, 'device')}${when}`;
  }
  if (first === null) return '';
  const when = admitted > 0 ? ' now' : first.at === null ? '' : ` ${dayTimeZone(first.at, zone)}`;
  return `; first: ${counted(first.devices, 'device')}${when}`;
}

/** `upland-met.yaml:6` as a link to that line; the whole path where names repeat is in the link. */
export function placeLink(place: Place, options: Pick<CommentOptions, 'links'>): string {
  const name = place.file.slice(place.file.lastIndexOf('/') + 1);
  const url = options.links(place);
  return url === null ? code(`${place.file}:${place.line}`, 80) : link(code(`${name}:${place.line}`), url);
}

/** The device as code, linked to the line that declares it. */
export function deviceLink({ view, options }: PlanPage, device: DeviceId): string {
  const row = view.declared.rowOf(device);
  return row === undefined ? code(device) : link(code(device), options.links(view.declared.deviceAt(row).place));
}

/** `alder, birch and 3 more`, each as code. */
export function deviceNames(names: readonly string[], all: number, most = 5): string {
  const shown = names.slice(0, most).map((name) => code(name));
  return all > shown.length ? `${shown.join(', ')} and ${all - shown.length} more` : shown.join(', ');
}

/** `4 CR1000X, 3 CR6`; many models are counted. */
export function modelsText(models: readonly (readonly [string, number])[], most = 4): string {
  const shown = models.slice(0, most).map(([model, count]) => `${count} ${prose(model, 30)}`);
  const rest = models.slice(most).reduce((sum, [, count]) => sum + count, 0);
  return rest === 0 ? shown.join(', ') : `${shown.join(', ')} and ${rest} of ${models.length - most} other models`;
}

/** `1.0.0` → `2.0.0`, each as code; a model in front of both is said once. */
export function versionsText(from: string | null, to: string | null, missing = 'unknown'): string {
  const after = to === null ? missing : code(withoutModel(from, to));
  return `${from === null ? missing : code(from)} → ${after}`;
}

const MOST_PLACES = 3;

/** Where the rest is, when something was left out: a sentence of the footer, and what each shortened list points to. */
export function restText(options: Pick<CommentOptions, 'rest'>): string {
  const places = (options.rest ?? [])
    .slice(0, MOST_PLACES)
    .map(({ text, url }) => link(oneLine(text, 60).replaceAll(/[[\]`<>|\\]/g, ''), url));
  return [...places, '`headgate explain DEVICE`'].join(' · ');
}

/** Which plan this is, and where all of it can be read. */
export function planFooter({ view, summary, options, zone }: PlanPage): string {
  const { plan, decision, declared } = view;
  const aws =
    summary.aws.length === 0
      ? []
      : [`AWS IoT: ${summary.aws.map((one) => `${code(one.connection)} ${awsCallsText(one)}`).join('; ')} (${awsCostSource()})`, ''];
  const commit = plan.revision.commit === null ? 'the working tree' : `commit \`${shortDigest(plan.revision.commit)}\``;
  return [
    '---',
    ...aws,
    `Plan \`${plan.digest.slice(0, 12)}\` of ${commit} · fleet ${prose(declared.fleet.name, 60)} · times for ${dayTimeZone(decision.at, zone)}`,
    '',
    `All of it: ${restText(options)}`,
  ].join('\n');
}
