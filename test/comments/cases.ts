import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { families } from '#adapters/registry.ts';
import { declare } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { compareDiagnostics } from '#kit/diagnostics.ts';
import type { Diagnostic, Place } from '#kit/diagnostics.ts';
import { HOUR_MS, MINUTE_MS } from '#kit/duration.ts';
import type { PassReport, PassResult } from '#reconcile/report.ts';
import { MemoryFleet } from '#test/support/memory-fleet.ts';
import type { Files } from '#test/support/memory-fleet.ts';
import { planComment } from '#view/comment.ts';
import type { CommentOptions } from '#view/comment-options.ts';

const EXAMPLE = 'fleet-example';

/** All files of the example network, by path. */
export function exampleFiles(): Files {
  const entries = readdirSync(EXAMPLE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(paths.map((path) => [relative(EXAMPLE, path).split(sep).join('/'), new Uint8Array(readFileSync(path))]));
}

/** Files of the example with texts replaced; throws where a text is not there, so that no case goes stale unseen. */
export function edited(files: Files, changes: Readonly<Record<string, readonly (readonly [string, string])[]>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(changes).map(([path, replacements]) => {
      const file = files[path] ?? '';
      let text = typeof file === 'string' ? file : new TextDecoder().decode(file);
      for (const [from, to] of replacements) {
        if (!text.includes(from)) throw new RangeError(`${path} does not hold ${from}`);
        text = text.replaceAll(from, to);
      }
      return [path, text];
    }),
  );
}

/** What the whole network would be upgraded to. */
export const UPGRADE = {
  'groups/upland-met.yaml': [
    ['cr1000x-os@8.2.1', 'cr1000x-os@8.5.1'],
    ['cr6-os@14.2.0', 'cr6-os@14.5.1'],
  ],
  'groups/vehicles.yaml': [
    ['canedge2@01.08.05', 'canedge2@01.09.03'],
    ['canedge3-gnss@01.08.05', 'canedge3-gnss@01.09.03'],
  ],
} as const;

function exampleLinks({ file, line }: Place): string {
  return `https://github.com/upland/fleet/blob/4f1c2d0/${file}#L${line}`;
}

export const exampleOptions: CommentOptions = {
  links: exampleLinks,
  rest: [{ text: 'job summary', url: 'https://github.com/upland/fleet/actions/runs/1207' }],
};

/** Rows that leave, join, move and have new hardware; a frozen station and one that an OS would lock out; what ends soon. */
export const TANGLE = {
  changes: {
    ...UPGRADE,
    'devices/loggers.csv': [
      ['middleton,CR6,13877,cr6/13877', 'middleton,CR6,13901,cr6/13901'],
      ['langdon-beck,CR300,30517,cr300/30517,langdon-beck,tees,,LANGDON_BECK_v6.CR300,NY 853 311,\n', ''],
      ['maize-beck,CR6,13359,cr6/13359,maize-beck,tees,,MAIZE_BECK_v4.CR6,NY 776 269,"no road, 40 min walk"\n', ''],
    ],
    'devices/vehicles.yaml': [
      ['  van-04:     { serial: 2B6F1231, labels: { depot: barnard-castle, link: wifi } }\n', ''],
      ['  boat-01:    { serial: 7D00C0DE,', '  boat-01:    { serial: 7D00C0DE, retired: 2026-12-10,'],
    ],
  },
  files: {
    'devices/switched.yaml': [
      'kind: Devices',
      'family: campbell',
      'via: field',
      'defaults: { model: CR6, zone: Europe/London }',
      'devices:',
      '  maize-beck: { serial: "13359", address: cr6/13359, site: maize-beck, labels: { catchment: tees }, values: { program: MAIZE_BECK_v4.CR6 }, options: { hazard: switched-modem } }',
      '  new-water: { serial: "13990", address: cr6/13990, site: new-water, labels: { catchment: tees }, values: { program: MAIZE_BECK_v4.CR6 } }',
      '',
    ].join('\n'),
    'overrides/tracer-2026.yaml': [
      'kind: Override',
      'name: tracer-2026',
      'select: { ids: [trout-beck] }',
      'freeze: true',
      'reason: dye tracing, tables must not reset',
      'reviewBy: 2026-12-04',
      '',
    ].join('\n'),
  },
} as const;

/** The mistakes of a fleet repo. */
export function mistakesOf(files: Files): readonly Diagnostic[] {
  const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
  return declare({ revision: revisionOfFiles(files), families: entries, at: Date.UTC(2026, 10, 23, 8, 30) }).diagnostics.toSorted(
    compareDiagnostics,
  );
}

/** The example network with its simulated devices, adopted: the present state is in the ledger. */
export async function adoptedExample(): Promise<MemoryFleet> {
  const files = exampleFiles();
  const fleet = await MemoryFleet.start({ files });
  const { declared } = fleet;
  for (let row = 0; row < declared.size; row += 1) await fleet.add(declared.deviceAt(row).id);
  await fleet.clock.advance(30 * MINUTE_MS);
  await fleet.pass({ newLedger: true, listenMs: 35 * MINUTE_MS });
  return fleet;
}

export function resultOf(report: PassReport): PassResult {
  if (report.result === null) throw new Error(`the pass ended early: ${JSON.stringify([report.refusal, report.diagnostics])}`);
  return report.result;
}

/** A plan of the newest commit, decided for now or for some hours later, when the window is closed. */
export async function planOf(fleet: MemoryFleet, options: { readonly hoursLater?: number } = {}): Promise<PassResult> {
  const at = fleet.clock.now() + (options.hoursLater ?? 0) * HOUR_MS;
  return resultOf(await fleet.pass({ mode: 'plan', at }));
}

export async function commentOf(fleet: MemoryFleet, options: { readonly hoursLater?: number } = {}): Promise<string> {
  const result = await planOf(fleet, options);
  return planComment(result, { ...exampleOptions, troubles: result.troubles });
}

/** Passes every ten minutes for so long. */
export async function runFor(fleet: MemoryFleet, hours: number): Promise<void> {
  for (let pass = 0; pass < hours * 6; pass += 1) {
    await fleet.clock.advance(10 * MINUTE_MS);
    await fleet.pass();
  }
}
