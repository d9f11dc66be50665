import { renderConfig } from '#adapters/canedge/config.ts';
import type { Json } from '#kit/canonical.ts';
import { crc32Hex } from '#kit/digest.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { configText } from './stage.ts';
import type { Lie, Stage } from './stage.ts';

const canedge = { family: 'canedge' } as const;
const CONFIG = 'config-01.08.json';

function faulty(faults: Readonly<Record<string, Json>>): (stage: Stage) => void {
  return (stage) => {
    for (const [name, value] of Object.entries(faults)) stage.liar.fault(name, value);
  };
}

function whenOffered(act: (stage: Stage) => Promise<unknown>): NonNullable<Lie['after']> {
  return async (stage, pass) => {
    if (pass === 1) await act(stage);
  };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The liar's device.json as it lies in the bucket. */
async function heartbeat(stage: Stage): Promise<Uint8Array> {
  const found = await stage.logs.get(stage.key('device.json'));
  if (typeof found === 'string') throw new Error('the liar has never reported');
  return found.bytes;
}

/** Somebody puts a device.json into the liar's folder. */
async function overwrite(stage: Stage, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  await stage.logs.put(stage.key('device.json'), change(await heartbeat(stage)));
}

function edited(members: Readonly<Record<string, Json>>): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => bytesOf(JSON.stringify({ ...(JSON.parse(new TextDecoder().decode(bytes)) as Record<string, Json>), ...members }));
}

function goesDark(stage: Stage): Promise<void> {
  return stage.fleet.clock.run(stage.liar.powerOff());
}

const REPORTED: readonly Lie[] = [
  {
    ...canedge,
    name: 'plays an old heartbeat again and again: new Last-Modified, old config',
    faults: ['oldHeartbeat'],
    change: ['config'],
    begin: faulty({ oldHeartbeat: true }),
    ends: 'FAILED CONFIG_REFUSED',
  },
  {
    ...canedge,
    name: 'plays an old heartbeat again and again: new Last-Modified, old firmware',
    faults: ['oldHeartbeat'],
    change: ['firmware'],
    begin: faulty({ oldHeartbeat: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...canedge,
    name: 'writes device.json torn',
    faults: ['tornHeartbeat'],
    change: ['config', 'firmware'],
    begin: faulty({ tornHeartbeat: true }),
    ends: 'REPORT_UNREADABLE',
  },
  {
    ...canedge,
    name: 'writes device.json torn once it was offered a config',
    faults: ['tornHeartbeat'],
    change: ['config'],
    after: whenOffered(async (stage) => stage.fault('tornHeartbeat')),
    ends: 'REPORT_UNREADABLE',
  },
  {
    ...canedge,
    name: 'reports the id of another device',
    faults: ['wrongId'],
    change: ['config'],
    begin: faulty({ wrongId: 'DEADBEEF' }),
    after: (stage) => stage.advance(MINUTE_MS),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...canedge,
    name: 'is two devices in one folder, by turns',
    faults: ['alternateId'],
    change: ['config'],
    begin: faulty({ alternateId: true }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...canedge,
    name: 'reports the type of another model',
    faults: ['wrongModelVersion'],
    change: ['firmware'],
    begin: faulty({ wrongModelVersion: true }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...canedge,
    name: 'reports a type that nobody knows',
    faults: ['wrongModelVersion'],
    change: ['firmware'],
    begin: faulty({ wrongModelVersion: '000000FF' }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...canedge,
    name: 'reports a version that was never offered',
    faults: ['wrongVersion'],
    change: ['firmware'],
    after: whenOffered(async (stage) => stage.fault('wrongVersion', '01.08.99')),
    ends: 'FAILED WRONG_RESULT',
  },
  {
    ...canedge,
    name: 'reports no CRC any more',
    faults: ['emptyCrc'],
    change: ['config'],
    after: whenOffered(async (stage) => stage.fault('emptyCrc')),
    ends: 'FAILED CONFIG_REFUSED',
  },
  {
    ...canedge,
    name: 'reports another public key',
    faults: ['kpubChanged'],
    change: ['config'],
    begin: faulty({ kpubChanged: true }),
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...canedge,
    name: 'writes every heartbeat twice',
    faults: ['duplicateHeartbeat'],
    change: ['config', 'firmware'],
    begin: faulty({ duplicateHeartbeat: true }),
    ends: 'converged',
  },
];

const OF_ITS_OWN: readonly Lie[] = [
  {
    ...canedge,
    name: 'refuses the config and keeps the old one',
    faults: ['refuseConfig'],
    change: ['config'],
    begin: faulty({ refuseConfig: 'keep' }),
    ends: 'FAILED CONFIG_REFUSED',
  },
  {
    ...canedge,
    name: 'refuses the config and reports no CRC',
    faults: ['refuseConfig'],
    change: ['config'],
    begin: faulty({ refuseConfig: 'empty' }),
    ends: 'FAILED CONFIG_REFUSED',
  },
  {
    ...canedge,
    name: 'refuses the config and falls back to its defaults',
    faults: ['refuseConfig'],
    change: ['config'],
    begin: faulty({ refuseConfig: 'defaults' }),
    ends: 'FAILED WRONG_RESULT',
  },
  {
    ...canedge,
    name: 'boots back to the old firmware',
    faults: ['bootBack'],
    change: ['firmware'],
    begin: faulty({ bootBack: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...canedge,
    name: 'boots back from the firmware of the next series',
    faults: ['bootBack'],
    change: ['series'],
    begin: faulty({ bootBack: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...canedge,
    name: 'downloads the image, and its boot loader drops it',
    faults: ['refuseFirmware'],
    change: ['firmware'],
    begin: faulty({ refuseFirmware: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...canedge,
    name: 'never comes back from the flash, after a day without a gap',
    faults: ['brickOnFirmware'],
    change: ['firmware'],
    steadyHours: 26,
    begin: faulty({ brickOnFirmware: true }),
    ends: 'LOST',
  },
  {
    ...canedge,
    name: 'never comes back from the flash, and was not known for a day',
    faults: ['brickOnFirmware'],
    change: ['firmware'],
    begin: faulty({ brickOnFirmware: true }),
    ends: 'OFFERED',
  },
  {
    ...canedge,
    name: 'never comes back from the config, after a day without a gap',
    faults: ['lostAfterConfig'],
    change: ['config'],
    steadyHours: 26,
    begin: faulty({ lostAfterConfig: true }),
    ends: 'LOST',
  },
  {
    ...canedge,
    name: 'never polls',
    faults: ['ignoreOta'],
    change: ['config'],
    begin: faulty({ ignoreOta: true }),
    ends: 'FAILED CONFIG_REFUSED',
  },
  {
    ...canedge,
    name: 'never polls for firmware',
    faults: ['ignoreOta'],
    change: ['firmware'],
    begin: faulty({ ignoreOta: true }),
    ends: 'FAILED FIRMWARE_NOT_APPLIED',
  },
  {
    ...canedge,
    name: 'sleeps',
    faults: ['asleep'],
    change: ['config', 'firmware'],
    begin: faulty({ asleep: true }),
    ends: 'OFFERED',
  },
  {
    ...canedge,
    name: 'is edited on its card, with the bucket to win',
    faults: ['sdEdit'],
    change: ['config'],
    begin: faulty({ sdEdit: 'edited by hand' }),
    ends: 'converged',
  },
  {
    ...canedge,
    name: 'takes fifty minutes for its modules',
    faults: ['moduleUpdate'],
    change: ['firmware'],
    begin: faulty({ moduleUpdate: 50 }),
    ends: 'converged',
  },
];

const OTHERS: readonly Lie[] = [
  {
    ...canedge,
    name: 'stores the certificates that it is sent, restarts, and loads none of them',
    faults: ['refuseCerts'],
    change: ['trust'],
    begin: faulty({ refuseCerts: true }),
    ends: 'FAILED TRUST_REFUSED',
  },
  {
    ...canedge,
    name: 'has its config object overwritten by somebody else, again and again',
    faults: [],
    change: ['config'],
    after: async (stage, pass) => {
      await stage.logs.put(stage.key(CONFIG), bytesOf(configText(`foreign ${pass}`)));
    },
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...canedge,
    name: 'has its config object overwritten by somebody else once, and takes that one',
    faults: [],
    change: ['config'],
    after: whenOffered((stage) => stage.logs.put(stage.key(CONFIG), bytesOf(configText('foreign')))),
    ends: 'converged',
  },
  {
    ...canedge,
    name: 'has its config object put back to the old one by somebody else, each time',
    faults: [],
    change: ['config'],
    after: async (stage) => {
      await stage.logs.put(stage.key(CONFIG), bytesOf(configText('v1')));
    },
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...canedge,
    name: 'finds firmware.bin deleted by somebody else, each time',
    faults: [],
    change: ['firmware'],
    after: async (stage) => stage.logs.delete(stage.key('firmware.bin')),
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...canedge,
    name: 'finds another firmware.bin, written by somebody else',
    faults: [],
    change: ['firmware'],
    after: whenOffered((stage) => stage.logs.put(stage.key('firmware.bin'), bytesOf('not an image'))),
    ends: 'converged',
  },
  {
    ...canedge,
    name: 'went dark, and somebody writes its last heartbeat again: new Last-Modified, old values',
    faults: [],
    change: ['config', 'firmware'],
    after: async (stage, pass) => {
      if (pass === 1) await goesDark(stage);
      await overwrite(stage, (bytes) => bytes);
    },
    ends: 'FAILED CONFIG_REFUSED',
  },
  {
    ...canedge,
    name: 'went dark, and somebody writes garbage as its heartbeat',
    faults: [],
    change: ['config'],
    after: async (stage, pass) => {
      if (pass === 1) await goesDark(stage);
      await overwrite(stage, () => bytesOf(['', '[]', '{"id":', 'null', '{}'][pass % 5] ?? ''));
    },
    ends: 'REPORT_UNREADABLE',
  },
  {
    ...canedge,
    name: 'went dark, and has the report of another device copied over its own, which runs what is declared',
    faults: [],
    change: ['config'],
    after: async (stage, pass) => {
      if (pass === 1) await goesDark(stage);
      const other = await stage.logs.get('0A000001/device.json');
      if (typeof other !== 'string') await stage.logs.put(stage.key('device.json'), other.bytes);
    },
    ends: 'IDENTITY_MISMATCH',
  },
  {
    ...canedge,
    name: 'gets no word from a bucket that stores what it is sent and says nothing',
    faults: ['bootBack'],
    change: ['firmware'],
    begin: (stage) => {
      faulty({ bootBack: true })(stage);
      stage.fleet.sim.s3Faults.add({ kind: 'lost-response' }, { operations: ['PutObject'], prefix: stage.key('firmware.bin'), times: 2 });
    },
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...canedge,
    name: 'claims the config in a heartbeat that is older than the offer, and goes dark',
    faults: [],
    change: ['config'],
    begin: async (stage) => {
      await goesDark(stage);
      const config = renderConfig(JSON.parse(configText('v2')) as Json);
      if (!config.ok) throw new Error(config.error.message);
      await overwrite(stage, edited({ cfg_crc32: crc32Hex(config.value) }));
    },
    ends: 'OFFERED',
  },
  {
    ...canedge,
    name: 'claims the version that is about to be declared, and goes dark before it takes the config beside it',
    faults: ['wrongVersion'],
    change: ['firmware', 'config'],
    begin: async (stage) => {
      stage.fault('wrongVersion', '01.08.05');
      await stage.advance(6 * MINUTE_MS);
      await goesDark(stage);
    },
    ends: 'OFFERED',
  },
  {
    ...canedge,
    name: 'plays a heartbeat that agrees again: it ran what is declared when it wrote it',
    faults: ['oldHeartbeat'],
    change: ['config'],
    after: async (stage, pass) => {
      // It took v2 and runs it; from now on it says so whatever it runs, and somebody edits its card.
      if (pass !== 12) return;
      stage.fault('oldHeartbeat');
      stage.fault('ignoreOta');
      stage.fault('sdEdit', 'edited by hand');
    },
    ends: 'converged',
    untellable: { page: 'src/adapters/canedge/readme.md', says: 'One whose values *agree* cannot be told from a true one' },
  },
];

export const CANEDGE_LIES: readonly Lie[] = [...REPORTED, ...OF_ITS_OWN, ...OTHERS];
