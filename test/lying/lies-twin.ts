import type { Json } from '#kit/canonical.ts';
import type { JsonObject } from '#model/shadow.ts';
import type { Lie, Stage } from './stage.ts';

const twin = { family: 'twin', change: ['firmware'], hours: 2.5 } as const;
const README = 'src/adapters/twin/readme.md';

function faulty(name: string, value: Json = true): Pick<Lie, 'faults' | 'begin'> {
  return { faults: [name], begin: (stage) => stage.liar.fault(name, value) };
}

function hubOf(stage: Stage) {
  return stage.fleet.sim.azure('hub');
}

/** Somebody else with a policy of the hub writes desired. */
function wrote(stage: Stage, desired: JsonObject): void {
  hubOf(stage).twins.write('liar', { desired, replace: false, ifMatch: null });
}

/** Somebody else connects as the device and reports for it. */
function reported(stage: Stage, state: JsonObject): void {
  hubOf(stage).twins.report('liar', state);
}

export const TWIN_LIES: readonly Lie[] = [
  { ...twin, ...faulty('ignore'), name: 'takes no notice of its twin', ends: 'FAILED NOT_APPLIED' },
  {
    ...twin,
    ...faulty('fail', 'no space left'),
    name: 'begins, and reports into its twin that it has no space left',
    ends: 'FAILED REFUSED',
  },
  {
    ...twin,
    ...faulty('wrongVersion', '1.0.9'),
    name: 'comes back with a version that its twin never asked for',
    ends: 'FAILED WRONG_RESULT',
  },
  { ...twin, ...faulty('bootBack'), name: 'runs the image of its twin for half a minute', ends: 'FAILED NOT_APPLIED' },
  { ...twin, ...faulty('brick'), name: 'never comes back to its hub', ends: 'LOST' },
  { ...twin, ...faulty('mute'), name: 'does all that its twin says, and reports nothing', ends: 'OFFERED' },
  {
    ...twin,
    ...faulty('oldReports'),
    name: 'runs the new image and reports the old one into its twin for ever',
    ends: 'FAILED NOT_APPLIED',
  },
  { ...twin, ...faulty('slow', 20), name: 'takes twenty times as long as the other twins', ends: 'converged' },
  { ...twin, ...faulty('garbage'), name: 'reports lists into its twin in the place of a version', ends: 'NEVER_REPORTED' },
  { ...twin, ...faulty('garbage', '{"fw.bin":'), name: 'says that it begins, and then sends what its hub refuses', ends: 'LOST' },
  { ...twin, ...faulty('wrongSerial', '9999'), name: 'is another box under the id of the twin', ends: 'IDENTITY_MISMATCH' },
  { ...twin, ...faulty('wrongModel', 'gw9'), name: 'is a box of another model under the id of the twin', ends: 'IDENTITY_MISMATCH' },
  { ...twin, ...faulty('partial'), change: ['settings'], name: 'applies one of two settings of its twin', ends: 'FAILED NOT_APPLIED' },
  {
    ...twin,
    ...faulty('echo'),
    name: 'reports what its twin says without doing it',
    ends: 'converged',
    untellable: { page: README, says: 'A device that reports what it is told without doing it (`echo`) is believed.' },
  },
  {
    ...twin,
    faults: [],
    name: 'has somebody else report a third version into its twin, until it speaks itself',
    begin: (stage) => stage.liar.fault('ignore', true),
    after: (stage, pass) => {
      if (pass === 2) reported(stage, { fw: { running: '3.3.3' } });
    },
    ends: 'FAILED NOT_APPLIED',
  },
  {
    ...twin,
    faults: [],
    name: 'has somebody else write another version into its twin, while it takes no notice',
    begin: (stage) => stage.liar.fault('ignore', true),
    after: (stage, pass) => {
      if (pass === 1) wrote(stage, { fw: { version: '0.9.9' } });
    },
    ends: 'FAILED NOT_APPLIED',
  },
  {
    ...twin,
    faults: [],
    name: 'has its converged twin overwritten while it takes no notice',
    after: (stage, pass) => {
      if (pass !== 20) return;
      stage.liar.fault('ignore', true);
      wrote(stage, { fw: { version: '0.9.9' } });
    },
    ends: 'converged',
  },
  {
    ...twin,
    faults: [],
    name: 'gets its own old reports into its twin again, late and twice',
    after: (stage, pass) => {
      if (pass < 4) for (let time = 0; time < 2; time += 1) reported(stage, { fw: { running: '1.0.0' } });
    },
    ends: 'converged',
  },
];
