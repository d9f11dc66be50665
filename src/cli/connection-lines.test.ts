import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCli } from '#test/support/running-cli.ts';
import { makeAwsCa, openAwsCa } from '#sim/aws/ca.ts';
import { startBroker, type Broker, type BrokerOptions } from '#sim/broker.ts';

/** Time for each device to have tried several times; see `--scale`. */
const SCALE = '100';
const PASSWORD = 'not-to-be-told';

let dir: string;
let tls: NonNullable<BrokerOptions['tls']>;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headgate-lines-'));
  const [ca, other] = [await makeAwsCa(Date.now()), await makeAwsCa(Date.now())];
  const own = await (await openAwsCa(ca)).forServer(['127.0.0.1', 'localhost'], Date.now());
  tls = { cert: own.certificate, key: own.key };
  await writeFile(join(dir, 'ca.pem'), ca.certificate);
  await writeFile(join(dir, 'other.pem'), other.certificate);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs the command until it has printed what is waited for, and gives its lines; secrets must not be among them. */
async function linesOf(args: readonly string[], isEnough: (out: string) => boolean): Promise<readonly string[]> {
  const cli = startCli(['sim', ...args, '--scale', SCALE], dir);
  await cli.until(isEnough);
  expect(await cli.stop()).toBe(0);
  expect(cli.out()).not.toContain(PASSWORD);
  return cli.out().trimEnd().split('\n');
}

async function withBroker<T>(options: BrokerOptions, work: (broker: Broker, url: string) => Promise<T>): Promise<T> {
  const broker = await startBroker(options);
  try {
    return await work(broker, broker.url ?? '');
  } finally {
    await broker.close();
  }
}

const count = (text: string, part: string): number => text.split(part).length - 1;

it.each(['chariot', 'mongoose', 'drogue', 'campbell'])('says that %s is on, then that it is connected', async (family) => {
  const lines = await withBroker({ tls }, (_, url) =>
    linesOf([family, '--url', url, '--ca', 'ca.pem', 'one', 'two'], (out) => count(out, ' is connected\n') === 2),
  );
  const told = lines.filter((line) => line.includes(' is on: ') || line.includes('connect'));
  expect(told.map((line) => line.split(':')[0])).toEqual(['one is on', 'one is connected', 'two is on', 'two is connected']);
});

it.each(['chariot', 'mongoose', 'drogue', 'campbell'])(
  'says once why %s does not trust the broker, and holds up no other',
  async (family) => {
    const lines = await withBroker({ tls }, (_, url) =>
      linesOf([family, '--url', url, '--ca', 'other.pem', 'one', 'two'], (out) => count(out, 'TLS_SERVER_UNTRUSTED') === 2),
    );
    expect(lines.map((line) => line.replace(/(is on): .*/, '$1').replace(/127\.0\.0\.1:\d+|localhost:\d+/, 'HOST'))).toEqual(
      ['one', 'two'].flatMap((id) => [
        `${id} is on`,
        expect.stringMatching(
          new RegExp(`^${id} cannot connect: TLS_SERVER_UNTRUSTED: .* not signed by a CA we trust .* \\(it goes on trying\\)$`),
        ) as string,
      ]),
    );
  },
);

it('says each reason once, through several attempts, and when it is connected in the end', async () => {
  const auth = { users: { fleet: 'right' } as Record<string, string> };
  let attempts = 0;
  await withBroker({ auth }, async (broker, url) => {
    const args = ['mongoose', '--url', url, '--user', 'fleet', '--password', PASSWORD, 'one'];
    const lines = await linesOf(args, (out) => {
      if (count(out, 'MQTT_NOT_AUTHORIZED') === 1 && attempts === 0) {
        attempts += 1;
        auth.users['fleet'] = PASSWORD;
      }
      if (count(out, ' is connected\n') === 1 && attempts === 1) {
        attempts += 1;
        broker.dropAll();
      }
      return out.includes('CONNECTION_LOST');
    });
    expect(lines.map((line) => line.replace(/^(one is on): .*/, '$1').replace(/: [^:]*connecting to .*|: mqtt.*/, ''))).toEqual([
      'one is on',
      'one cannot connect: MQTT_NOT_AUTHORIZED',
      'one is connected',
      'one lost its connection: CONNECTION_LOST',
    ]);
  });
});

it('says that a broker refuses what it must hear', async () => {
  const auth = { users: { fleet: PASSWORD }, allow: () => false };
  const lines = await withBroker({ auth }, (_, url) =>
    linesOf(['mongoose', '--url', url, '--user', 'fleet', '--password', PASSWORD, 'one'], (out) => out.includes(' cannot connect: ')),
  );
  expect(lines.at(-1)).toMatch(/^one cannot connect: MQTT_\w+: .*subscri/);
});
