import type { Json } from '#kit/canonical.ts';
import type { Lie, Stage } from './stage.ts';

const chariot = { family: 'chariot', change: ['firmware'], hours: 2.5 } as const;

function faulty(name: string, value: Json = true): Pick<Lie, 'faults' | 'begin'> {
  return { faults: [name], begin: (stage) => stage.liar.fault(name, value) };
}

const rotated = { ...chariot, change: ['identity'], connection: ', presence: aws, withdraw: aws' } as const;

/** AWS gives the liar no certificate. */
function refuseLiar({ fleet }: Stage): void {
  const { templates } = fleet.sim.aws('field').provisioning;
  const template = templates.get('gateways');
  if (template === undefined) throw new Error('nobody was enrolled');
  templates.set('gateways', { ...template, hook: ({ ThingName }) => ({ allowProvisioning: ThingName !== 'liar' }) });
}

export const CHARIOT_LIES: readonly Lie[] = [
  { ...chariot, ...faulty('notifyFails'), name: 'writes its file and reports it, and its command fails', ends: 'FAILED NOT_INSTALLED' },
  { ...chariot, ...faulty('reject'), name: 'empties its mailbox and refuses what was in it', ends: 'FAILED REJECTED_BY_DEVICE' },
  {
    ...chariot,
    ...faulty('unknownService'),
    name: 'empties its mailbox of a key that it no longer knows',
    ends: 'FAILED REJECTED_BY_DEVICE',
  },
  { ...chariot, ...faulty('clamp'), name: 'writes another version into its file than it was told', ends: 'FAILED WRONG_RESULT' },
  { ...chariot, ...faulty('livelock'), change: ['config'], name: 'has the config, and lost its report of that', ends: 'converged' },
  { ...chariot, ...faulty('wedge'), name: 'installs, and its queue is wedged until its restart', ends: 'converged' },
  { ...chariot, ...faulty('mute'), name: 'installs, and reports nothing at all', ends: 'OFFERED' },
  { ...chariot, ...faulty('loseDelta', 1), name: 'never hears of the first delta', ends: 'converged' },
  { ...chariot, ...faulty('outkeys'), name: 'forgets at each fetch to say what runs', ends: 'converged' },
  { ...chariot, ...faulty('installFails'), name: 'says that the installation failed', ends: 'FAILED INSTALL_FAILED' },
  { ...chariot, ...faulty('rollBack'), name: 'says that it went back to the old version', ends: 'FAILED ROLLED_BACK' },
  {
    ...chariot,
    ...faulty('wrongVersion', '1.0.9'),
    name: 'comes to run a version that its file does not name',
    ends: 'FAILED WRONG_RESULT',
  },
  { ...chariot, ...faulty('brick'), name: 'wrote its file, restarted, and is gone', ends: 'LOST' },
  { ...chariot, ...faulty('slow', 20), name: 'installs twenty times as slowly as the others', ends: 'converged' },
  { ...chariot, ...faulty('garbage'), name: 'reports lists and numbers for its services', ends: 'FAILED ADJUSTED_BY_DEVICE' },
  { ...chariot, ...faulty('wrongSerial', '9999'), name: 'is another gateway under the old thing', ends: 'IDENTITY_MISMATCH' },
  {
    ...chariot,
    ...faulty('echo'),
    name: 'posts as running what it never installed',
    ends: 'converged',
    untellable: { page: 'src/adapters/chariot/readme.md', says: 'says that it runs what it was told, and does not' },
  },
  {
    ...rotated,
    ...faulty('keepsCertificate'),
    name: 'was issued a new certificate, and goes on with the old one',
    ends: 'FAILED KEEPS_OLD_CERTIFICATE',
  },
  {
    ...rotated,
    name: 'says that it uses its new certificate, and connects with the old one',
    faults: ['boastsCertificate', 'keepsCertificate'],
    begin: (stage) => {
      stage.fault('boastsCertificate');
      stage.fault('keepsCertificate');
    },
    ends: 'FAILED KEEPS_OLD_CERTIFICATE',
  },
  {
    ...rotated,
    connection: '',
    ...faulty('boastsCertificate'),
    name: 'says that it uses its new certificate, where no broker tells otherwise',
    ends: 'converged',
    untellable: { page: 'src/adapters/chariot/readme.md', says: 'a gateway that says that it uses its new certificate is believed' },
  },
  {
    ...rotated,
    ...faulty('unknownService', 'agent'),
    hours: 8,
    name: 'empties its mailbox of an order that its agent never hears of',
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  { ...rotated, faults: [], begin: refuseLiar, hours: 8, name: 'is refused a new certificate', ends: 'QUARANTINED ATTEMPTS_SPENT' },
];
