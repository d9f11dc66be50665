import type { Json } from '#kit/canonical.ts';
import { encodeStatus } from '#adapters/drogue/wire.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Lie, Stage } from './stage.ts';

const drogue = { family: 'drogue', change: ['firmware'], hours: 1.25 } as const;
const strict = { profile: 'strict' } as const;

function faulty(faults: Readonly<Record<string, Json>>): (stage: Stage) => void {
  return (stage) => {
    for (const [name, value] of Object.entries(faults)) stage.liar.fault(name, value);
  };
}

function whenOffered(act: (stage: Stage) => Promise<unknown> | void): NonNullable<Lie['after']> {
  return async (stage, pass) => {
    if (pass === 1) await act(stage);
  };
}

/** Somebody else asks in the name of the liar. */
function asked(stage: Stage, said: { readonly version: string; readonly offset?: number; readonly retain?: boolean }): Promise<void> {
  const { version, offset, retain = false } = said;
  const update = offset === undefined ? null : { version: '0.1.1', offset };
  const payload = encodeStatus({ version, mtu: 512, correlationId: null, update }, 'packed');
  return stage.publishTo('dfu/liar', payload, retain);
}

const OF_ITS_OWN: readonly Lie[] = [
  {
    ...drogue,
    name: 'runs the new image, and boots back while its health is awaited',
    faults: ['bootBack'],
    group: "health: { selfTest: '= ok' }\n",
    begin: faulty({ bootBack: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...drogue,
    name: 'runs the new image for one status, and boots back with no health to be awaited',
    faults: ['bootBack'],
    begin: faulty({ bootBack: true }),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...drogue,
    name: 'never comes back from the swap',
    faults: ['brick'],
    begin: faulty({ brick: true }),
    ends: 'LOST',
  },
  {
    ...drogue,
    name: 'swaps, and says nothing any more',
    faults: ['silentAfterSwap'],
    begin: faulty({ silentAfterSwap: true }),
    ends: 'LOST',
  },
  {
    ...drogue,
    name: 'is told to swap, and its bootloader keeps the old image',
    faults: ['failSwap'],
    begin: faulty({ failSwap: true }),
    ends: 'FAILED SWAP_FAILED',
  },
  {
    ...drogue,
    name: 'says another version than the one that it was given',
    faults: ['wrongVersion'],
    begin: faulty({ wrongVersion: '0.1.9' }),
    ends: 'FAILED WRONG_VERSION',
  },
  {
    ...drogue,
    name: 'is unwell with the new image',
    faults: ['unhealthy'],
    group: "health: { selfTest: '= ok' }\n",
    begin: faulty({ unhealthy: true }),
    ends: 'FAILED TRIAL_FAILED',
  },
  {
    ...drogue,
    name: 'turns bits over in its flash, and its updater compares nothing',
    faults: ['corruptFlash'],
    begin: faulty({ corruptFlash: 1 }),
    ends: 'FAILED SWAP_FAILED',
  },
  {
    ...drogue,
    name: 'turns bits over in its flash, and throws away what does not fit the checksum',
    faults: ['corruptFlash'],
    options: strict,
    begin: faulty({ corruptFlash: 1 }),
    ends: 'FAILED SWAP_FAILED',
  },
  {
    ...drogue,
    name: 'loses its power at each block',
    faults: ['cutEachBlock'],
    begin: faulty({ cutEachBlock: true }),
    ends: 'converged',
  },
  {
    ...drogue,
    name: 'keeps the offset of an image that it has not: a driver that begins without erasing',
    faults: ['cutEachBlock'],
    options: { driver: 'embassy', progress: 'persisted' },
    begin: faulty({ cutEachBlock: true }),
    ends: 'converged',
  },
];

const LINKS: readonly Lie[] = [
  {
    ...drogue,
    name: 'gets every answer twice, and counts each block twice',
    faults: ['duplicateDown'],
    begin: faulty({ duplicateDown: 1 }),
    ends: 'OFFERED',
  },
  {
    ...drogue,
    name: 'gets every answer twice, and takes only what follows',
    faults: ['duplicateDown'],
    options: strict,
    begin: faulty({ duplicateDown: 1 }),
    ends: 'converged',
  },
  {
    ...drogue,
    name: 'gets every answer when it no longer waits for it, and takes it for that to the next status',
    faults: ['delayDown'],
    begin: faulty({ delayDown: 20 * SECOND_MS }),
    ends: 'OFFERED',
  },
  { ...drogue, name: 'asks everything twice', faults: ['duplicateUp'], begin: faulty({ duplicateUp: 1 }), ends: 'converged' },
  {
    ...drogue,
    name: 'loses every third message, both ways',
    faults: ['loseDown', 'loseUp'],
    begin: faulty({ loseDown: 0.3, loseUp: 0.3 }),
    ends: 'converged',
  },
  { ...drogue, name: 'is on a link of 200 bytes a second', faults: ['slowLink'], begin: faulty({ slowLink: 200 }), ends: 'converged' },
  {
    ...drogue,
    name: 'asks again at once, whatever it is told to wait',
    faults: ['ignorePoll'],
    hours: 0.75,
    begin: faulty({ ignorePoll: true }),
    ends: 'converged',
  },
  {
    ...drogue,
    name: 'repeats its very first status behind each one',
    faults: ['replay'],
    begin: faulty({ replay: true }),
    ends: 'FAILED TRANSFER_BROKEN',
  },
];

const SPEECH: readonly Lie[] = [
  {
    ...drogue,
    name: 'writes `status` for `update`, as the published documents do',
    faults: ['documented'],
    begin: faulty({ documented: true }),
    ends: 'converged',
  },
  {
    ...drogue,
    name: 'writes its version as a text, as the published documents do',
    faults: ['documented'],
    begin: faulty({ documented: 'text' }),
    after: (stage) => stage.advance(6 * MINUTE_MS),
    ends: 'REPORT_UNREADABLE',
  },
  {
    ...drogue,
    name: 'speaks as devices did before 2022-06',
    faults: ['oldGeneration'],
    begin: faulty({ oldGeneration: true }),
    after: (stage) => stage.advance(6 * MINUTE_MS),
    ends: 'REPORT_UNREADABLE',
  },
  {
    ...drogue,
    name: 'says nothing but garbage once it was offered the image',
    faults: ['garbage'],
    after: whenOffered(faulty({ garbage: true })),
    ends: 'REPORT_UNREADABLE',
  },
  { ...drogue, name: 'takes blocks of 0 bytes', faults: ['mtu'], begin: faulty({ mtu: 0 }), ends: 'converged' },
  { ...drogue, name: 'takes blocks of 4 GiB', faults: ['mtu'], begin: faulty({ mtu: 4_294_967_295 }), ends: 'converged' },
  {
    ...drogue,
    name: 'asks by the correlation id of another one',
    faults: ['wrongCorrelation'],
    device: 'options: { correlation: 7 }',
    begin: faulty({ wrongCorrelation: 8 }),
    after: (stage) => stage.advance(6 * MINUTE_MS),
    ends: 'IDENTITY_MISMATCH',
  },
];

const OTHERS: readonly Lie[] = [
  {
    ...drogue,
    name: 'has somebody claim the new version in its name as soon as it was offered',
    faults: [],
    options: { backoffMs: '60000' },
    after: whenOffered((stage) => asked(stage, { version: '0.1.1' })),
    ends: 'FAILED BOOTED_BACK',
  },
  {
    ...drogue,
    name: 'has somebody claim in its name that it holds all of the image',
    faults: [],
    options: { backoffMs: '60000' },
    after: whenOffered((stage) => asked(stage, { version: '0.1.0', offset: 2000 })),
    ends: 'OFFERED',
  },
  {
    ...drogue,
    name: 'went dark, and a status is retained that says it runs the new version, of nobody knows when',
    faults: [],
    begin: async (stage) => {
      await stage.fleet.clock.run(stage.liar.powerOff());
      await stage.fleet.restart(() => asked(stage, { version: '0.1.1', retain: true }));
    },
    ends: 'OFFERED',
  },
  {
    ...drogue,
    name: 'goes dark in mid-transfer',
    faults: [],
    options: { backoffMs: '60000' },
    after: whenOffered(async (stage) => {
      await stage.advance(6 * MINUTE_MS);
      await stage.fleet.clock.run(stage.liar.powerOff());
    }),
    ends: 'LOST',
  },
];

export const DROGUE_LIES: readonly Lie[] = [...OF_ITS_OWN, ...LINKS, ...SPEECH, ...OTHERS];
