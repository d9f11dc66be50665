import type { Json } from '#kit/canonical.ts';
import type { Lie, Stage } from './stage.ts';

const shadow = { family: 'shadow', change: ['firmware'], hours: 2.5 } as const;
const README = 'src/adapters/shadow/readme.md';

function faulty(name: string, value: Json = true): Pick<Lie, 'faults' | 'begin'> {
  return { faults: [name], begin: (stage) => stage.liar.fault(name, value) };
}

/** Somebody else writes to the topics of the liar's shadow. */
function wrote(stage: Stage, verb: 'update' | 'delete', body: object): Promise<void> {
  return stage.publishTo(`$aws/things/liar/shadow/name/fleet/${verb}`, new TextEncoder().encode(JSON.stringify(body)));
}

function reported(stage: Stage, state: object): Promise<void> {
  return wrote(stage, 'update', { state: { reported: state } });
}

export const SHADOW_LIES: readonly Lie[] = [
  { ...shadow, ...faulty('ignore'), name: 'takes no notice of desired', ends: 'FAILED NOT_APPLIED' },
  { ...shadow, ...faulty('fail', 'no space left'), name: 'begins, and says that it has no space left', ends: 'FAILED REFUSED' },
  { ...shadow, ...faulty('wrongVersion', '1.0.9'), name: 'comes back with a version that nobody asked for', ends: 'FAILED WRONG_RESULT' },
  { ...shadow, ...faulty('bootBack'), name: 'runs the new image for half a minute', ends: 'FAILED NOT_APPLIED' },
  { ...shadow, ...faulty('brick'), name: 'never comes back from its restart', ends: 'LOST' },
  { ...shadow, ...faulty('mute'), name: 'does all that it is told, and reports nothing', ends: 'OFFERED' },
  { ...shadow, ...faulty('oldReports'), name: 'runs the new image and reports the old one for ever', ends: 'FAILED NOT_APPLIED' },
  { ...shadow, ...faulty('slow', 20), name: 'takes twenty times as long as the others', ends: 'converged' },
  { ...shadow, ...faulty('garbage'), name: 'reports lists in the place of a version', ends: 'NEVER_REPORTED' },
  { ...shadow, ...faulty('wrongSerial', '9999'), name: 'is another box under the old name', ends: 'IDENTITY_MISMATCH' },
  { ...shadow, ...faulty('wrongModel', 'gw9'), name: 'is a box of another model', ends: 'IDENTITY_MISMATCH' },
  {
    ...shadow,
    ...faulty('partial'),
    change: ['settings'],
    name: 'applies one of two settings and leaves the other',
    ends: 'FAILED NOT_APPLIED',
  },
  {
    ...shadow,
    ...faulty('ignore'),
    change: ['config'],
    name: 'takes no notice of its config',
    ends: 'FAILED NOT_APPLIED',
  },
  {
    ...shadow,
    ...faulty('echo'),
    name: 'reports what it is told without doing it',
    ends: 'converged',
    untellable: { page: README, says: 'A device that reports what it is told without doing it (`echo`) is believed.' },
  },
  {
    ...shadow,
    faults: [],
    name: 'has somebody else report a third version for it, until it speaks itself',
    begin: (stage) => stage.liar.fault('ignore', true),
    after: async (stage, pass) => {
      if (pass === 2) await reported(stage, { fw: { running: '3.3.3' } });
    },
    ends: 'FAILED NOT_APPLIED',
  },
  {
    ...shadow,
    faults: [],
    name: 'loses its whole shadow under the offer',
    after: async (stage, pass) => {
      if (pass === 1) await wrote(stage, 'delete', {});
    },
    ends: 'converged',
  },
  {
    ...shadow,
    faults: [],
    name: 'has somebody else write another version into desired, while it takes no notice',
    begin: (stage) => stage.liar.fault('ignore', true),
    after: async (stage, pass) => {
      if (pass === 1) await wrote(stage, 'update', { state: { desired: { fw: { version: '0.9.9' } } } });
    },
    ends: 'FAILED NOT_APPLIED',
  },
  {
    ...shadow,
    faults: [],
    name: 'gets its own old reports again, late and twice',
    after: async (stage, pass) => {
      if (pass < 4) for (let time = 0; time < 2; time += 1) await reported(stage, { fw: { running: '1.0.0' } });
    },
    ends: 'converged',
  },
];
