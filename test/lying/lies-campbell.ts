import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import type { Lie, Stage } from './stage.ts';

const NEW = { firmware: 'CR1000X.8.2.1', program: 'liar_v2.CRB' };
const OLD = { firmware: 'CR1000X.8.1.0', program: 'liar_v1.CRB' };

function faulty(faults: Readonly<Record<string, Json>>): (stage: Stage) => void {
  return (stage) => {
    for (const [name, value] of Object.entries(faults)) stage.liar.fault(name, value);
  };
}

/** What the store answers the liar's download: `gone` deletes the object once it was uploaded. */
function depotFails(name: string, kind: 'gone' | 'internal-error' | 'slow-down' | 'deny'): NonNullable<Lie['after']> {
  return async (stage, pass) => {
    if (pass > 1) return;
    const page = await stage.depot.list({ prefix: 'artifacts/' });
    for (const { key } of page.objects.filter((object) => object.key.endsWith(`/${name}`))) {
      if (kind === 'gone') await stage.depot.delete(key);
      else stage.fleet.sim.s3Faults.add({ kind }, { operations: ['GetObject'], prefix: key });
    }
  };
}

function whenSent(act: (stage: Stage) => Promise<void>): NonNullable<Lie['after']> {
  return async (stage, pass) => {
    if (pass === 1) await act(stage);
  };
}

/** The logger is switched off, once it has been told, and stays so. */
const goesDark = whenSent((stage) => stage.fleet.clock.run(stage.liar.powerOff()));

function random(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + seed * 17) % 256);
}

const campbell = { family: 'campbell' } as const;

/** Loggers that acknowledge what they have not done, and what servers make them acknowledge. */
const ACKNOWLEDGED: readonly Lie[] = [
  {
    ...campbell,
    name: 'announces and acknowledges an OS, and flashes nothing',
    faults: ['ackWithoutFlash'],
    change: ['firmware'],
    begin: faulty({ ackWithoutFlash: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'acknowledges a program, and loads nothing',
    faults: ['ackWithoutFlash'],
    change: ['program'],
    begin: faulty({ ackWithoutFlash: true }),
    ends: 'FAILED PROGRAM_NOT_RUNNING',
  },
  {
    ...campbell,
    name: 'acknowledges OS and program, and does nothing',
    faults: ['ackWithoutFlash'],
    change: ['firmware', 'program'],
    begin: faulty({ ackWithoutFlash: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'acknowledges the 404 page that it got for a program',
    faults: [],
    change: ['program'],
    after: depotFails('liar_v2.CRB', 'gone'),
    ends: 'FAILED COMPILE_FAILED',
  },
  {
    ...campbell,
    name: 'acknowledges the 500 page of the store',
    faults: [],
    change: ['program'],
    after: depotFails('liar_v2.CRB', 'internal-error'),
    ends: 'FAILED COMPILE_FAILED',
  },
  {
    ...campbell,
    name: 'acknowledges a 403 page, and reports the page by the name of the program',
    faults: ['failedNameReported'],
    change: ['program'],
    begin: faulty({ failedNameReported: true }),
    after: depotFails('liar_v2.CRB', 'deny'),
    ends: 'FAILED COMPILE_FAILED',
  },
  {
    ...campbell,
    name: 'comes for its program when the URL has expired, and acknowledges the error page',
    faults: ['slowDownload'],
    change: ['program'],
    begin: faulty({ slowDownload: 40 * MINUTE_MS }),
    ends: 'FAILED COMPILE_FAILED',
  },
  {
    ...campbell,
    name: 'gets a 404 page for an OS',
    faults: [],
    change: ['firmware'],
    model: 'CR6',
    after: depotFails('CR6-2.obj', 'gone'),
    ends: 'FAILED OS_REFUSED',
  },
  {
    ...campbell,
    name: 'compiles nothing, and acknowledges the program',
    faults: ['compileError'],
    change: ['program'],
    begin: faulty({ compileError: true }),
    ends: 'FAILED COMPILE_FAILED',
  },
  {
    ...campbell,
    name: 'does not compile the program, and reports it by name all the same',
    faults: ['compileError', 'failedNameReported'],
    change: ['program'],
    begin: faulty({ compileError: true, failedNameReported: true }),
    ends: 'FAILED COMPILE_FAILED',
  },
];

const OF_ITS_OWN: readonly Lie[] = [
  {
    ...campbell,
    name: 'boots back to the old OS',
    faults: ['bootBack'],
    change: ['firmware'],
    begin: faulty({ bootBack: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'refuses the OS file',
    faults: ['osCheckFails'],
    change: ['firmware'],
    begin: faulty({ osCheckFails: true }),
    ends: 'FAILED OS_REFUSED',
  },
  {
    ...campbell,
    name: 'reaches no server to download from',
    faults: ['downloadFails'],
    change: ['firmware'],
    begin: faulty({ downloadFails: true }),
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...campbell,
    name: 'reaches no server for its program',
    faults: ['downloadFails'],
    change: ['program'],
    begin: faulty({ downloadFails: true }),
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...campbell,
    name: 'never comes back from the flash',
    faults: ['brickOnOs'],
    change: ['firmware'],
    begin: faulty({ brickOnOs: true }),
    ends: 'LOST',
  },
  {
    ...campbell,
    name: 'dies a minute after the OS update',
    faults: ['brickAfter'],
    change: ['firmware', 'program'],
    begin: faulty({ brickAfter: 60_000 }),
    ends: 'OFFLINE',
  },
  {
    ...campbell,
    name: 'loses its power while it is flashed',
    faults: [],
    change: ['firmware'],
    after: whenSent(async (stage) => {
      await stage.advance(90 * SECOND_MS);
      await stage.fleet.clock.run(stage.liar.powerOff());
      await stage.fleet.clock.run(stage.liar.powerOn());
    }),
    ends: 'LOST',
  },
  {
    ...campbell,
    name: 'is unhealthy after the update: a low battery',
    faults: ['batteryLow'],
    change: ['firmware'],
    group: 'health: { battery: ">= 11.8" }\nwatch: 2d\n',
    begin: faulty({ batteryLow: 10.9 }),
    ends: 'FAILED UNHEALTHY',
  },
  {
    ...campbell,
    name: 'is unhealthy after the update: a watchdog reset',
    faults: ['watchdogAfterUpdate'],
    change: ['firmware'],
    group: 'health: { watchdogErrors: no rise }\nwatch: 2d\n',
    begin: faulty({ watchdogAfterUpdate: true }),
    ends: 'FAILED UNHEALTHY',
  },
];

/** Reports that are late, doubled, out of order, cut, or of something else. */
const REPORTED: readonly Lie[] = [
  {
    ...campbell,
    name: 'boots back, and first repeats the status of before the restart',
    faults: ['bootBack', 'staleState'],
    change: ['firmware'],
    begin: faulty({ bootBack: true, staleState: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'updates, and first repeats the status of before the restart',
    faults: ['staleState'],
    change: ['firmware', 'program'],
    begin: faulty({ staleState: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'updates, and sends the status of before the restart last',
    faults: ['outOfOrder'],
    change: ['firmware'],
    begin: faulty({ outOfOrder: true }),
    ends: 'converged',
    outcome: 'BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'says everything twice',
    faults: ['duplicateReports'],
    change: ['firmware', 'program'],
    begin: faulty({ duplicateReports: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'repeats an answer of before, and every online',
    faults: ['duplicateOnline', 'staleReply'],
    change: ['firmware', 'program'],
    begin: faulty({ duplicateOnline: true, staleReply: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'boots back, and answers with the success of another time',
    faults: ['bootBack', 'staleReply'],
    change: ['firmware'],
    begin: faulty({ bootBack: true, staleReply: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'boots back, and says everything twice',
    faults: ['bootBack', 'duplicateReports'],
    change: ['firmware'],
    begin: faulty({ bootBack: true, duplicateReports: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'sends cut and random reports beside the right ones',
    faults: ['garbage'],
    change: ['firmware', 'program'],
    begin: faulty({ garbage: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'sends nothing but cut and random reports',
    faults: ['garbage'],
    change: ['firmware'],
    begin: faulty({ garbage: 'only' }),
    ends: 'VERIFYING',
  },
  {
    ...campbell,
    name: 'updates, and never sends a status again',
    faults: ['silentStatus'],
    change: ['program'],
    begin: faulty({ silentStatus: true }),
    ends: 'VERIFYING',
  },
  {
    ...campbell,
    name: 'answers nothing',
    faults: ['lostReply', 'noProgramReply'],
    change: ['firmware', 'program'],
    begin: faulty({ lostReply: true, noProgramReply: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'reports another serial from now on',
    faults: ['wrongSerial'],
    change: ['firmware'],
    begin: faulty({ wrongSerial: '7777' }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...campbell,
    name: 'reports another serial once it was told to update',
    faults: ['wrongSerial'],
    change: ['firmware'],
    after: whenSent(async (stage) => stage.fault('wrongSerial', '7777')),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...campbell,
    name: 'reports the OS of another model, by the version that is declared',
    faults: ['wrongModelVersion'],
    change: ['firmware'],
    begin: faulty({ wrongModelVersion: 'CR6.Std.08.02.01' }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...campbell,
    name: 'spells state, topics and JSON in another way',
    faults: ['clientIDSpelling', 'prettyJson', 'trailingSlash'],
    change: ['firmware', 'program'],
    begin: faulty({ clientIDSpelling: true, prettyJson: true, trailingSlash: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'sleeps most of the time',
    faults: ['asleep'],
    change: ['program'],
    begin: faulty({ asleep: { awakeMs: 6 * MINUTE_MS, sleepMs: 14 * MINUTE_MS } }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'retains its state at the broker, and goes dark',
    faults: ['retainState', 'replayRetained'],
    change: ['firmware'],
    begin: async (stage) => {
      faulty({ retainState: true, replayRetained: true })(stage);
      await stage.advance(MINUTE_MS);
    },
    after: goesDark,
    ends: 'LOST',
  },
];

/** What others do to the wire. */
const OTHERS: readonly Lie[] = [
  {
    ...campbell,
    name: 'flashes nothing, while somebody retains a status that says it did',
    faults: ['ackWithoutFlash', 'silentStatus'],
    change: ['firmware', 'program'],
    begin: async (stage) => {
      faulty({ ackWithoutFlash: true, silentStatus: true })(stage);
      await stage.publish({ rest: 'statusInfo', payload: stage.statusOf(NEW), retain: true });
      await stage.publish({ rest: 'statusInfo', payload: stage.statusOf(OLD) });
    },
    after: whenSent((stage) => stage.fleet.restart()),
    ends: 'IN_FLIGHT',
  },
  {
    ...campbell,
    name: 'was never heard, while somebody retains a status with what is declared; then speaks for itself',
    faults: ['silentStatus'],
    change: ['firmware'],
    options: { nothing: 'program' },
    arrive: async (stage) => {
      stage.fault('silentStatus');
      await stage.publish({ rest: 'statusInfo', payload: stage.statusOf(OLD), retain: true });
    },
    begin: (stage) => stage.fault('silentStatus', false),
    untellable: { page: 'src/adapters/campbell/readme.md', says: 'A message that is retained' },
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'went dark, while a status from before waits in the queue of our session',
    faults: [],
    change: ['firmware'],
    begin: async (stage) => {
      await stage.fleet.restart(async () => {
        await stage.fleet.clock.run(stage.liar.powerOff());
        await stage.publish({ rest: 'statusInfo', payload: stage.statusOf({ ...OLD, firmware: NEW.firmware }) });
        await stage.advance(MINUTE_MS);
      });
    },
    ends: 'OFFLINE',
  },
  {
    ...campbell,
    name: 'flashes nothing, while a status that says it did waits in the queue of our session',
    faults: ['ackWithoutFlash', 'silentStatus'],
    change: ['firmware'],
    begin: faulty({ ackWithoutFlash: true, silentStatus: true }),
    after: whenSent((stage) =>
      stage.fleet.restart(async () => {
        await stage.publish({ rest: 'statusInfo', payload: stage.statusOf({ ...OLD, firmware: NEW.firmware }) });
        await stage.advance(5 * MINUTE_MS);
      }),
    ),
    ends: 'IN_FLIGHT',
  },
  {
    ...campbell,
    name: 'boots back, while others publish garbage under its address',
    faults: ['bootBack'],
    change: ['firmware'],
    begin: faulty({ bootBack: true }),
    after: async (stage, pass) => {
      await stage.publish({ rest: 'statusInfo', payload: random(200, pass) });
      await stage.publish({ rest: 'statusInfo', payload: '{"state":{"reported":{"OS_Version":' });
      await stage.publish({ rest: 'statusInfo', payload: '[]' });
      await stage.publish({ rest: '', payload: `{"state":${pass}}` });
      await stage.publish({ type: 'cr', rest: 'OS', payload: '{"success":"OS updated"}' });
      await stage.publish({ type: 'cr', rest: 'program', payload: 'null' });
      await stage.publish({ type: 'metadata', rest: '', payload: random(64, pass) });
      await stage.publish({ type: 'data', rest: 'Hourly/cj', payload: '{"head":{"environment":{"os_version":82}}}' });
    },
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'is another logger at this address: a message with a foreign serial claims what is declared',
    faults: ['ackWithoutFlash', 'silentStatus'],
    change: ['firmware'],
    begin: faulty({ ackWithoutFlash: true, silentStatus: true }),
    after: (stage) =>
      stage.publish({ rest: 'statusInfo', payload: stage.statusOf({ ...OLD, firmware: NEW.firmware, clientId: 'CR1000X_7777' }) }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...campbell,
    name: 'gets every message twice from its broker, and boots back',
    faults: ['bootBack'],
    change: ['firmware'],
    begin: async (stage) => {
      faulty({ bootBack: true })(stage);
      await stage.fleet.sim.broker('field').faults({ duplicate: true });
    },
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'boots back, while the broker cuts every connection at each pass',
    faults: ['bootBack'],
    change: ['firmware'],
    begin: faulty({ bootBack: true }),
    after: async (stage) => {
      stage.fleet.sim.broker('field').dropAll();
      await stage.fleet.clock.settled();
    },
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...campbell,
    name: 'flashes nothing, while somebody who may write to its topics says, fresh and well formed, that it did',
    faults: ['ackWithoutFlash', 'silentStatus'],
    change: ['firmware'],
    begin: faulty({ ackWithoutFlash: true, silentStatus: true }),
    after: (stage) => stage.publish({ rest: 'statusInfo', payload: stage.statusOf({ ...OLD, firmware: NEW.firmware }) }),
    ends: 'converged',
    untellable: { page: 'src/adapters/campbell/readme.md', says: 'Whoever may publish under its topics' },
  },
];

const V2 = ', options: { dialect: v2 }';
const WITH_SETTING = 'settings: { PakBusAddress: 3 }\n';

/** Settings, files and checksums: what a logger tells only when it is asked. */
const ASKED: readonly Lie[] = [
  {
    ...campbell,
    name: 'takes a setting with success, and ignores it',
    faults: ['ackWithoutFlash'],
    change: ['settings'],
    group: WITH_SETTING,
    begin: faulty({ ackWithoutFlash: true }),
    ends: 'FAILED SETTING_IGNORED',
  },
  {
    ...campbell,
    name: 'answers nothing of its settings for a while',
    faults: ['lostReply'],
    change: ['settings'],
    group: WITH_SETTING,
    begin: faulty({ lostReply: true }),
    after: (stage, pass) => {
      if (pass === 3) stage.fault('lostReply', false);
    },
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'answers with the setting of before first, and with the right one then',
    faults: ['staleReply'],
    change: ['settings'],
    group: WITH_SETTING,
    begin: faulty({ staleReply: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'says that it deleted a file, and lists it still',
    faults: ['ackWithoutFlash'],
    change: ['files'],
    options: { files: 'old.CRB' },
    begin: faulty({ ackWithoutFlash: true }),
    ends: 'FAILED FILE_STAYS',
  },
  {
    ...campbell,
    name: 'cuts its list of files, in which the one too many is not',
    faults: [],
    change: ['files'],
    options: { files: 'zzz_too_many.CRB' },
    begin: faulty({ listCut: 60 }),
    ends: 'REPORT_UNREADABLE',
  },
  {
    ...campbell,
    name: 'has other bytes under the name of the program, and acknowledges it',
    faults: ['failedNameReported'],
    change: ['program'],
    device: V2,
    begin: faulty({ failedNameReported: true }),
    after: depotFails('liar_v2.CRB', 'gone'),
    ends: 'FAILED OTHER_BYTES',
  },
  {
    ...campbell,
    name: 'cannot compute the checksum of its program',
    faults: [],
    change: ['firmware', 'program'],
    device: V2,
    begin: faulty({ checksumFails: true }),
    ends: 'converged',
  },
  {
    ...campbell,
    name: 'never answers for its program',
    faults: ['lostReply'],
    change: ['program'],
    device: V2,
    begin: faulty({ lostReply: true }),
    ends: 'converged',
  },
];

export const CAMPBELL_LIES: readonly Lie[] = [...ACKNOWLEDGED, ...OF_ITS_OWN, ...REPORTED, ...OTHERS, ...ASKED];
