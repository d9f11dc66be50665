import payloads from '#adapters/campbell/fixtures/payloads.json' with { type: 'json' };
import { COMMAND_NAMES } from '#adapters/campbell/wire-commands.ts';
import { seededRandom } from '#sim/random.ts';

export interface FuzzMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
}

type Random = () => number;

/** Everything of the protocol page that a logger may say, by what follows the device id in its topic. */
const SAID: readonly (readonly [string, string, string])[] = payloads.payloads.map(({ topic, payload }) => {
  const [, type = '', rest = ''] = /^cs\/v2\/([a-z]+)\/(?:cr6\/[A-Z]+|[A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4})\/?(.*)$/.exec(topic) ?? [];
  return [type, rest, JSON.stringify(payload)];
});

/** Bodies of commands that would do something if they were whole. */
const COMMANDS: Readonly<Record<string, string>> = {
  OS: '{"url":"http://files.example.org/os"}',
  program: '{"url":"http://files.example.org/p","fileName":"p.CR1X"}',
  mqttConfig: '{"url":"http://files.example.org/c"}',
  fileControl: '{"action":"delete","fileName":"met_v1.CR1X"}',
  setting: '{"action":"set","name":"PakBusAddress","value":"7","apply":"true"}',
  SetSettings: '{"settings":{"PakBusAddress":"7"}}',
  reboot: '{"action":"reboot"}',
  editConst: '{"Height":"3"}',
  setVar: '{"name":"PTemp","value":"3"}',
  variable: '{"action":"set","assignments":{"PTemp":"3"}}',
};

/** Messages on every topic that is listened to for that logger, none of which is a well-formed report of it. */
export function* brokenReports(addresses: readonly string[], seed: string): Generator<FuzzMessage> {
  const random = seededRandom(1, seed);
  for (;;) {
    const address = pick(addresses, random);
    const [type, rest, text] = pick(SAID, random);
    const topic = `cs/v2/${type}/${address}${rest === '' ? (random() < 0.5 ? '/' : '') : `/${rest}`}`;
    yield random() < 0.1 ? ofAnother(topic, address, text) : { topic, payload: broken(text, random) };
  }
}

/** The same on every command topic: nothing that a logger would carry out. */
export function* brokenCommands(addresses: readonly string[], seed: string): Generator<FuzzMessage> {
  const random = seededRandom(1, seed);
  for (;;) {
    const command = random() < 0.9 ? pick(COMMAND_NAMES, random) : pick(['', 'x', 'OS/', 'program/t1', '#', 'fileControl/list'], random);
    const topic = `cs/v2/cc/${pick(addresses, random)}/${command.replaceAll('#', 'x')}`;
    yield { topic, payload: broken(COMMANDS[command] ?? '{"data":"x"}', random) };
  }
}

/** Whole, but under the topic of a logger that nobody knows. */
function ofAnother(topic: string, address: string, text: string): FuzzMessage {
  return { topic: topic.replace(address, `${address}9`), payload: Buffer.from(text) };
}

function pick<T>(list: readonly T[], random: Random): T {
  const found = list[Math.floor(random() * list.length)];
  if (found === undefined) throw new RangeError('nothing to choose from');
  return found;
}

function broken(text: string, random: Random): Uint8Array {
  return pick(BREAKERS, random)(text, random);
}

const BREAKERS: readonly ((text: string, random: Random) => Uint8Array)[] = [
  (_text, random) => noObject(Uint8Array.from({ length: Math.floor(random() * 600) }, () => Math.floor(random() * 256))),
  (text, random) => Buffer.from(text.slice(0, Math.floor(random() * text.length))),
  (text, random) => withByte(Buffer.from(text), { at: Math.floor(random() * text.length), byte: 0xff }),
  (text, random) => noObject(withByte(Buffer.from(text), { at: Math.floor(random() * text.length), byte: Math.floor(random() * 128) })),
  (text, random) => Buffer.from(text + pick(['}', ']', 'x', '\u0000', text], random)),
  (text, random) => Buffer.from(pick([`[${text}]`, JSON.stringify(text), 'null', '17', 'true', '{}', '[]', ''], random)),
  (text) => Buffer.from(JSON.stringify(renamed(JSON.parse(text)))),
  (text, random) => Buffer.from(JSON.stringify(emptied(JSON.parse(text), random))),
  (text) => Buffer.from(`{"__proto__":${text},"constructor":${text}}`),
  (_text, random) => Buffer.from(pick(['[', '{"a":', '"', '1'], random).repeat(1 + Math.floor(random() * 5000))),
  (text) => Buffer.from(`${text.slice(0, -1)},"pad":"${'x'.repeat(70_000)}"}`),
];

/** What happens to be an object all the same is cut. */
function noObject(bytes: Uint8Array): Uint8Array {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null ? bytes.subarray(0, -1) : bytes;
  } catch {
    return bytes;
  }
}

function withByte(bytes: Uint8Array, { at, byte }: { readonly at: number; readonly byte: number }): Uint8Array {
  return bytes.map((before, index) => (index === at ? byte : before));
}

/** No key is what it was. */
function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [`${key}x`, renamed(member)]));
}

/** No text and no number is left. */
function emptied(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) return value.map((one) => emptied(one, random));
  if (typeof value !== 'object' || value === null) return pick([null, {}, [], [[]]], random);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, emptied(member, random)]));
}
