import type { DeclaredDevice } from '#model/declared.ts';
import type { DriverOutcome } from '#ports/driver.ts';
import type { Answer, Conversation } from './driver-converse.ts';
import type { FilesOrder } from './files.ts';
import { digestOfSecret, type SettingsSecret } from './settings.ts';
import type { SettingsOrder } from './settings-operations.ts';

type Trouble = Extract<DriverOutcome, { kind: 'trouble' | 'refused' }>;

/** What was carried out, in words for the log; or why not. */
export type Applied = { readonly kind: 'done' } | Trouble;

const DONE: Applied = { kind: 'done' };

/**
 * Each setting set without apply, then one apply; constants in one command (docs/protocols/campbell-mqtt.md §5.6, §5.8).
 * Each waits for its answer; sets that were not applied change nothing, so that all may be sent again after a trouble.
 */
export async function applySettings(order: SettingsOrder, device: DeclaredDevice, talk: Conversation): Promise<Applied> {
  const values = settingValues(order, device);
  if (values === null) return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence: 'the secret that is declared now is another' };
  for (const [name, value] of values) {
    const trouble = troubleOf(await talk.say({ kind: 'writeSetting', name, value, apply: false }), `setting ${name}`);
    if (trouble !== null) return trouble;
  }
  if (values.length > 0) {
    const trouble = troubleOf(await talk.say({ kind: 'applySettings' }, { leavingAnswers: true }), 'applying the settings');
    if (trouble !== null) return trouble;
  }
  if (Object.keys(order.constants).length === 0) return DONE;
  const edit = await talk.say({ kind: 'editConstants', constants: order.constants }, { leavingAnswers: true });
  return troubleOf(edit, 'editing the constants') ?? DONE;
}

/** Names and texts to write; null when the secrets at hand are not those that the operation was made of. */
export function settingValues(
  order: Pick<SettingsOrder, 'settings' | 'secrets'>,
  device: DeclaredDevice,
): readonly (readonly [string, string])[] | null {
  const secret = device.items.find(({ item }) => item === 'settings')?.secret?.reveal() as SettingsSecret | undefined;
  const values: (readonly [string, string])[] = Object.entries(order.settings);
  for (const [name, digest] of Object.entries(order.secrets)) {
    const text = secret?.texts.get(name);
    if (secret === undefined || text === undefined || digestOfSecret(secret.key, name, text) !== digest) return null;
    values.push([name, text]);
  }
  return values;
}

/** One file after the other. One that is not there any more is deleted already. */
export async function deleteFiles(order: FilesOrder, talk: Conversation): Promise<Applied> {
  for (const fileName of order.delete) {
    const answer = await talk.say({ kind: 'deleteFile', fileName });
    const isGone = answer.kind === 'reply' && answer.reply.kind === 'error' && /does not exist/i.test(answer.reply.text);
    const trouble = isGone ? null : troubleOf(answer, `deleting ${fileName}`);
    if (trouble !== null) return trouble;
  }
  return DONE;
}

function troubleOf(answer: Answer, what: string): Trouble | null {
  switch (answer.kind) {
    case 'leaving':
    case 'back':
      return null;
    case 'silent':
      return { kind: 'trouble', code: 'NO_ANSWER', evidence: `${what}: the logger did not answer`, retry: 'later' };
    case 'unfit':
      return { kind: 'refused', reason: 'UNSUPPORTED', evidence: `${what}: ${answer.problem.text}` };
    case 'reply': {
      const { reply } = answer;
      if (reply.kind !== 'error') return null;
      return {
        kind: 'trouble',
        code: 'COMMAND_ERROR',
        evidence: `${what}: the logger answered ${JSON.stringify(reply.text)}`,
        retry: 'later',
      };
    }
  }
}
