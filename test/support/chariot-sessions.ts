import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { SimDaemon } from '#adapters/chariot/sim-daemon.ts';
import { FaultSwitches } from '#adapters/chariot/sim-faults.ts';
import { readShell, writeShell } from '#adapters/chariot/shell.ts';
import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import type { SimPorts } from '#ports/sim.ts';
import { VirtualClock } from '#sim/clock.ts';

const THING = 'logger-07';
const PREFIX = `$aws/things/${THING}/shadow/`;
const FIXTURES = 'src/adapters/chariot/fixtures';

type Step =
  | { readonly device: string; readonly body: JsonObject }
  | { readonly cloud: string; readonly body: JsonObject }
  | { readonly file: string; readonly value: Json; readonly notified: number }
  | { readonly post: string; readonly value: JsonObject }
  | { readonly advance: number }
  | { readonly silence: true }
  | { readonly refetch: true };

interface Session {
  readonly name: string;
  readonly services: readonly { readonly key: string; readonly format: 'JSON' | 'SHELL' | 'PLAINTEXT'; readonly value?: Json }[];
  readonly steps: readonly Step[];
}

interface Check {
  readonly file: string;
  readonly name: string;
  check(): Promise<void> | void;
}

/** Every vector of the family's fixtures, each with what must hold of it. */
export function chariotVectors(): readonly Check[] {
  const { sessions } = read('sessions.json') as { readonly sessions: readonly Session[] };
  const { texts, roundTrips } = read('shell.json') as {
    readonly texts: readonly { readonly name: string; readonly value: JsonObject; readonly text: string }[];
    readonly roundTrips: readonly { readonly from: JsonObject; readonly to: JsonObject }[];
  };
  return [
    ...sessions.map((session) => ({ file: 'sessions.json', name: session.name, check: () => runSession(session) })),
    ...texts.map(({ name, value, text }) => ({
      file: 'shell.json',
      name,
      check: () => {
        expect(writeShell(value)).toBe(text);
        expect(readShell(text)).toEqual(value);
      },
    })),
    ...roundTrips.map(({ from, to }) => ({
      file: 'shell.json',
      name: JSON.stringify(from),
      check: () => expect(readShell(writeShell(from))).toEqual(to),
    })),
  ];
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(`${FIXTURES}/${file}`, 'utf8'));
}

async function runSession({ services, steps }: Session): Promise<void> {
  const clock = new VirtualClock(Date.UTC(2026, 10, 23));
  const notified = new Map<string, number>();
  const daemonBus = new ScriptedBus();
  const definitions = services.map(({ key, format }) => ({
    key,
    format,
    outkeys: () => null,
    ephemeral: false,
    validate: (value: Json) => value,
    notify: () => void notified.set(key, (notified.get(key) ?? 0) + 1),
  }));
  const daemon = new SimDaemon(portsOf(clock, daemonBus), { thing: THING, services: definitions, switches: new FaultSwitches() });
  for (const { key, value } of services) if (value !== undefined) daemon.files.get(key)?.write(value);
  void daemon.start();
  await clock.advance(SECOND_MS);
  for (const step of steps) {
    if ('device' in step) expect(daemonBus.next()).toEqual({ verb: step.device, body: step.body });
    else if ('cloud' in step) daemonBus.tell(step.cloud, step.body);
    else if ('post' in step) daemon.post(step.post, step.value);
    else if ('advance' in step) await clock.advance(step.advance);
    else if ('silence' in step) expect(daemonBus.next()).toBe(null);
    else if ('refetch' in step) void daemon.link.refetch();
    else {
      expect(daemon.valueOf(step.file)).toEqual(step.value);
      expect(notified.get(step.file) ?? 0).toBe(step.notified);
    }
    await clock.advance(1);
  }
  expect(daemonBus.next()).toBe(null);
  await daemon.stop();
}

/** A connection whose other end is the script. */
class ScriptedBus implements MessageBus {
  readonly clientId = THING;
  readonly expires = false;
  readonly #sent: { readonly verb: string; readonly body: unknown }[] = [];
  readonly #listeners = new Set<(message: BusMessage) => void>();

  next(): { readonly verb: string; readonly body: unknown } | null {
    return this.#sent.shift() ?? null;
  }

  tell(what: string, body: JsonObject): void {
    const payload = new TextEncoder().encode(JSON.stringify(body));
    for (const listener of this.#listeners) listener({ topic: `${PREFIX}${what}`, payload, retained: false, receivedAt: 0, fresh: true });
  }

  subscribe(): Promise<void> {
    return Promise.resolve();
  }

  publish(topic: string, payload: Uint8Array): Promise<void> {
    this.#sent.push({ verb: topic.slice(PREFIX.length), body: JSON.parse(new TextDecoder().decode(payload)) as unknown });
    return Promise.resolve();
  }

  listen(listener: (message: BusMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function portsOf(clock: VirtualClock, bus: MessageBus): SimPorts {
  return {
    clock,
    log: SILENT_LOG,
    random: () => 0.5,
    connect: () => Promise.resolve({ bus, onLost: () => undefined, drop: () => Promise.resolve() }),
    objects: () => Promise.reject(new Error('a gateway has no bucket')),
    get: () => Promise.reject(new Error('nothing is served here')),
  };
}
