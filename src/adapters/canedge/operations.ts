import { SECOND_MS } from '#kit/duration.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { configRefusal, imageProblems } from './config-refusal.ts';
import { deadlineMs } from './deadline.ts';
import { sameVersion } from './expectation.ts';
import type { DeclaredConfigFacts } from './facts.ts';
import { touchesLink } from './guards.ts';
import { objectOf, textAt } from './json.ts';
import { readMemo } from './memo.ts';
import { documentOf, linkChange, situationOf, type Situation } from './situation.ts';
import type { LinkChange } from './trust-operations.ts';
import { compareSeries, compareVersions } from './versions.ts';

/** From drift to operations: docs/protocols/canedge-s3.md §5, §6, §12. */

/**
 * The steps that close the drift, in the order of §12.4: the config of the series, then the firmware, then the clean-up;
 * the engine keeps only the first live, so one change is in flight at a time. Pure.
 */
export function operationsFor(request: OperationsRequest): OperationsAnswer {
  const situation = situationOf(request);
  if (situation === null) return { drafts: [], impossible: [] };
  const deaf = deafness(situation);
  if (deaf !== null) return { drafts: [], impossible: [deaf] };
  const { first, last, impossible, waits } = situation.trustSteps;
  const all = join({ drafts: first, impossible: [] }, itemSteps(situation), { drafts: last, impossible });
  const steps = all.drafts.length > 0 || waits === null ? all : join(all, { drafts: [], impossible: [waits] });
  const { home } = readMemo(request.reported);
  if (home === null || home === request.device.via.connection) return steps;
  return { ...steps, drafts: steps.drafts.map((draft) => atPlace(draft, home)) };
}

/** A device is told everything where it is heard, apart from what is laid ready where it is to go. */
function atPlace(draft: OperationDraft, home: string): OperationDraft {
  const facts = objectOf(draft.facts) ?? {};
  return textAt(facts, 'at') === undefined ? { ...draft, facts: { ...facts, at: home } } : draft;
}

function itemSteps(situation: Situation): OperationsAnswer {
  const crossing = crossingOf(situation);
  if (crossing !== 0) return crossing < 0 ? noWayBack(situation) : upgrade(situation);
  const config = situation.drifted.config ? configStep(situation) : EMPTY;
  const firmware = situation.drifted.firmware ? firmwareStep(situation) : EMPTY;
  return join(config, firmware);
}

const EMPTY: OperationsAnswer = { drafts: [], impossible: [] };

function join(...answers: readonly OperationsAnswer[]): OperationsAnswer {
  return { drafts: answers.flatMap((one) => one.drafts), impossible: answers.flatMap((one) => one.impossible) };
}

/** A device whose running config polls or reports never cannot be changed from here (F3, F4). */
function deafness(situation: Situation): Impossible | null {
  const { ota, heartbeat } = situation.runs.firmware.link;
  const told = ota === 0 ? 'never looks for changes (ota 0)' : heartbeat === 0 ? 'never reports (heartbeat 0)' : null;
  if (told === null) return null;
  return { item: null, reason: 'UNSUPPORTED', evidence: `the config that it runs ${told}: somebody must change it on the SD card` };
}

/** Whether the declared items lead to a later (positive) or earlier series than the device runs. */
function crossingOf(situation: Situation): number {
  const { wants, runs, drifted } = situation;
  const wanted = wants.firmware !== null && drifted.firmware ? wants.firmware.series : drifted.config ? wants.config?.series : undefined;
  return wanted === undefined ? 0 : compareSeries(wanted, runs.firmware.series);
}

/** No config is migrated backwards, and the device's own rule is not known (§6.4): it keeps what it has. */
function noWayBack({ wants, runs, drifted }: Situation): OperationsAnswer {
  const impossible: Impossible[] = [];
  if (wants.firmware !== null && drifted.firmware) {
    const evidence = `runs ${runs.firmware.version}; there is no way back to ${wants.firmware.version} across a config series`;
    impossible.push({ item: 'firmware', reason: 'INCOMPATIBLE', evidence });
  }
  if (wants.config !== null && drifted.config) {
    const evidence = `runs ${runs.firmware.version}, which does not read a config of series ${wants.config.series}`;
    impossible.push({ item: 'config', reason: 'INCOMPATIBLE', evidence });
  }
  return { drafts: [], impossible };
}

/** To a later series: its config object first, then the image (§6.2). The device aborts an image without it (F5). */
function upgrade(situation: Situation): OperationsAnswer {
  const { wants, runs, drifted } = situation;
  if (wants.firmware === null || compareSeries(wants.firmware.series, runs.firmware.series) <= 0) {
    const evidence = `the config is of series ${wants.config?.series ?? '?'}; the device runs ${runs.firmware.version} and no later firmware is pinned`;
    return { drafts: [], impossible: [{ item: 'config', reason: 'INCOMPATIBLE', evidence }] };
  }
  if (!drifted.firmware) {
    const evidence = `waits for firmware ${wants.firmware.version}, which reads configs of series ${wants.firmware.series}`;
    return { drafts: [], impossible: [{ item: 'config', reason: 'WAITS_FOR_ITEM', evidence }] };
  }
  const { series } = wants.firmware;
  if (situation.configHeld !== null) {
    const evidence = `needs its config of series ${series} first: ${situation.configHeld}`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'WAITS_FOR_ITEM', evidence }] };
  }
  const next = runs.config.next?.series === series ? runs.config.next : null;
  if (wants.config === null) {
    if (next?.crc != null) return firmwareStep(situation);
    const evidence = `firmware ${wants.firmware.version} needs a config of series ${series}: none is pinned and the folder has none`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'NO_UPGRADE_PATH', evidence }] };
  }
  if (wants.config.series !== series) {
    const evidence = `the pinned config is of series ${wants.config.series}, firmware ${wants.firmware.version} reads ${series}`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'NO_UPGRADE_PATH', evidence }] };
  }
  const refused = configRefusal(situation, imageProblems(wants.firmware.item.content, wants.config.item.content));
  if (refused !== null) return { drafts: [], impossible: [refused] };
  const firmware = firmwareStep(situation);
  if (firmware.impossible.length > 0 || next?.crc === wants.config.crc) return firmware;
  const object = next?.crc == null || next.sha256 === null ? null : { crc: next.crc, sha256: next.sha256 };
  return join({ drafts: [nextConfigDraft(situation, object)], impossible: [] }, firmware);
}

function migrationEffects({ migrated }: Pick<DeclaredConfigFacts, 'migrated'>): readonly string[] {
  return migrated === null ? [] : [`reads a config migrated from series ${migrated.from}`];
}

function nextConfigDraft(situation: Situation, object: { readonly crc: string; readonly sha256: string } | null): OperationDraft {
  const { wants, reported, runs, device } = situation;
  const config = wants.config;
  const document = documentOf(config?.item.content ?? null);
  return {
    item: 'config',
    step: 'config-next',
    kind: 'change',
    delivery: 'offer',
    declared: config?.item.value ?? '',
    expected: valueOf(reported, 'config'),
    facts: {
      series: config?.series ?? '',
      crc: config?.crc ?? '',
      object,
      crosses: true,
      link: false,
      ...movesBy(document === undefined ? 'none' : linkChange(situation, document)),
      ...encryptedTo(config),
    },
    content: config?.item.content ?? null,
    deadlineMs: deadlineMs(runs.firmware.link, device),
    effects: config === null ? [] : migrationEffects(config),
    disturbs: false,
  };
}

/** What the driver must look at itself before it writes: how the config changes the server of the device. */
function movesBy(change: LinkChange): { readonly moves?: 'tls' | 'move' | 'other' } {
  return change === 'none' || change === 'unknown' ? {} : { moves: change };
}

/** What the driver compares with the heartbeat right before it writes. */
function encryptedTo(config: DeclaredConfigFacts | null): { readonly kpub?: string } {
  return config === null || config.kpub === null ? {} : { kpub: config.kpub };
}

/** The config of the series that runs: the device takes it at its next poll and restarts (§5.1). */
function configStep(situation: Situation): OperationsAnswer {
  const { wants, runs, reported, device } = situation;
  const config = wants.config;
  if (config === null) return EMPTY;
  const { checked } = runs.config;
  const refused = configRefusal(situation, checked?.digest === config.item.content?.digest ? checked : null);
  if (refused !== null) return { drafts: [], impossible: [refused] };
  const document = documentOf(config.item.content);
  const link = document !== undefined && touchesLink(runs.config.running, document);
  const object = runs.config.object;
  return {
    drafts: [
      ...configThere(situation),
      {
        item: 'config',
        step: 'config',
        kind: 'change',
        delivery: 'offer',
        declared: config.item.value,
        expected: valueOf(reported, 'config'),
        facts: {
          series: config.series,
          crc: config.crc,
          object: object === null ? null : { crc: object.crc, sha256: object.sha256 },
          crosses: false,
          link,
          ...movesBy(document === undefined ? 'none' : linkChange(situation, document)),
          ...encryptedTo(config),
        },
        content: config.item.content,
        deadlineMs: deadlineMs(runs.firmware.link, device),
        effects: [
          'restarts the device',
          ...migrationEffects(config),
          ...(link ? ['changes how it reaches its server: a mistake there is mended only by hand'] : []),
        ],
        disturbs: true,
      },
    ],
    impossible: [],
  };
}

/** Another config where the device is to go would be taken on its arrival, and might lead it away again. */
function configThere(situation: Situation): readonly OperationDraft[] {
  const { wants, runs, reported, device } = situation;
  const { config } = wants;
  const [there, towards] = [runs.config.there, readMemo(reported).towards];
  if (config === null || there === null || towards === null || there.crc === config.crc) return [];
  return [
    {
      item: 'config',
      step: 'config-there',
      kind: 'change',
      delivery: 'offer',
      declared: config.item.value,
      expected: valueOf(reported, 'config'),
      facts: {
        series: config.series,
        crc: config.crc,
        object: { crc: there.crc, sha256: there.sha256 },
        crosses: false,
        link: false,
        moves: 'move',
        at: towards,
        ...encryptedTo(config),
      },
      content: config.item.content,
      deadlineMs: deadlineMs(runs.firmware.link, device),
      effects: [],
      disturbs: false,
    },
  ];
}

/** The image itself, or, when the device runs it already, the deletion of what is left of it. */
function firmwareStep(situation: Situation): OperationsAnswer {
  const { wants, runs, reported, device } = situation;
  const firmware = wants.firmware;
  if (firmware === null) return EMPTY;
  if (sameVersion(firmware.version, runs.firmware.version)) return { drafts: [cleanupDraft(situation)], impossible: [] };
  if (firmware.model !== null && reported.model !== null && firmware.model !== reported.model) {
    const evidence = `the image is for a ${firmware.model}, the device is a ${reported.model}`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'INCOMPATIBLE', evidence }] };
  }
  const crosses = firmware.series !== runs.firmware.series;
  const back = (compareVersions(firmware.version, runs.firmware.version) ?? 0) < 0;
  return {
    drafts: [
      {
        item: 'firmware',
        step: 'firmware',
        kind: 'change',
        delivery: 'offer',
        declared: firmware.item.value,
        expected: valueOf(reported, 'firmware'),
        facts: { series: firmware.series, crc: crosses ? (wants.config?.crc ?? null) : null, object: null, crosses, link: false },
        content: firmware.item.content,
        deadlineMs: deadlineMs(runs.firmware.link, device) + FIRMWARE_EXTRA_MS,
        effects: [
          'restarts the device',
          ...(crosses ? ['cannot come back to the earlier config series'] : []),
          ...(back ? ['goes back to a lower patch'] : []),
        ],
        disturbs: true,
      },
    ],
    impossible: [],
  };
}

function cleanupDraft({ wants, runs, reported, device }: Situation): OperationDraft {
  return {
    item: 'firmware',
    step: 'cleanup-firmware',
    kind: 'change',
    delivery: 'push',
    declared: wants.firmware?.item.value ?? '',
    expected: valueOf(reported, 'firmware'),
    facts: { series: runs.firmware.series, crc: null, object: null, crosses: false, link: false },
    content: wants.firmware?.item.content ?? null,
    deadlineMs: deadlineMs(runs.firmware.link, device),
    effects: [],
    disturbs: false,
  };
}

function valueOf(reported: ReportedDevice, item: 'config' | 'firmware'): string | null {
  const value = reported.items[item];
  return value?.kind === 'value' ? value.value : null;
}

const FIRMWARE_EXTRA_MS = 300 * SECOND_MS;
