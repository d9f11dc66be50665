import { expect, it } from 'vitest';
import { MINUTE_MS } from '#kit/duration.ts';
import type { HttpExchange } from '#ports/clients.ts';
import { quotaOf } from '#model/aws-quotas.ts';
import type { Clock } from '#ports/clock.ts';
import { openAwsIot } from '#transports/aws-iot.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeAwsIot, type AwsIot } from './aws-iot.ts';
import { SIM_AWS_CREDENTIALS } from './server.ts';

const START = Date.UTC(2026, 10, 23);
const REGION = 'eu-central-1';
/** What the account allows, as the data file of quotas has it. */
const QUOTAS = {
  GetThingShadow: quotaOf(REGION, 'get'),
  UpdateThingShadow: quotaOf(REGION, 'update'),
  SearchIndex: quotaOf(REGION, 'search'),
};

function exchangeWith({ endpoint }: AwsIot): HttpExchange {
  return async (request) => {
    const answer = await endpoint.handle({ ...request, certificate: null });
    if (typeof answer === 'string') throw new Error(answer);
    return answer;
  };
}

function statusOf(aws: AwsIot): Promise<unknown> {
  const request = { method: 'GET', target: '/things/logger-1/shadow', headers: {}, body: new Uint8Array(), certificate: null };
  return aws.endpoint.handle(request).then((answer) => (typeof answer === 'string' ? answer : answer.status));
}

/**
 * Time stands still between the turn that a call gets and its answer, however long this machine takes to sign and to send:
 * each call reaches the service at the instant at which the client let it go.
 */
class Flights {
  readonly pacing: Clock;
  readonly #clock: VirtualClock;
  #flying = 0;
  #landed: () => void = () => undefined;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.pacing = {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: async (ms, signal) => {
        this.#leave();
        try {
          await clock.sleep(ms, signal);
        } finally {
          this.#enter();
        }
      },
    };
  }

  async flown<T>(call: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await call();
    } finally {
      this.#leave();
    }
  }

  #enter(): void {
    this.#flying += 1;
    if (this.#flying === 1) void this.#clock.track(new Promise<void>((resolve) => (this.#landed = resolve)));
  }

  #leave(): void {
    this.#flying -= 1;
    if (this.#flying === 0) this.#landed();
  }
}

/** Real time that a call may take: here its limit is not what is tried. */
const CALL_LIMIT_MS = 10 * MINUTE_MS;

it('throttles beyond a second of calls, and fills again as time goes by', async () => {
  const clock = new VirtualClock(START);
  const aws = makeAwsIot({ clock, quotas: { GetThingShadow: 2 } });
  expect([await statusOf(aws), await statusOf(aws), await statusOf(aws)]).toEqual([404, 404, 429]);
  await clock.advance(500);
  expect([await statusOf(aws), await statusOf(aws)]).toEqual([404, 429]);
  await clock.advance(60_000);
  expect([await statusOf(aws), await statusOf(aws), await statusOf(aws)]).toEqual([404, 404, 429]);
  await aws.close();
});

it('never throttles the clients that the engine calls with: they keep to the quotas by themselves', async () => {
  const clock = new VirtualClock(START);
  const aws = makeAwsIot({ clock, quotas: QUOTAS });
  aws.index.configuration = { things: 'REGISTRY_AND_SHADOW', connectivity: 'OFF', namedShadows: [] };
  const connection = {
    name: 'cloud',
    place: { file: '', line: 1, column: 1 },
    type: 'aws-iot',
    region: REGION,
    endpoint: 'https://aws.sim',
    index: 'all',
    indexQuery: null,
  } as const;
  const flights = new Flights(clock);
  const calling = { clock: flights.pacing, exchange: exchangeWith(aws), credentials: SIM_AWS_CREDENTIALS, callLimitMs: CALL_LIMIT_MS };
  const shadows = await clock.track(openAwsIot(connection, calling));
  const [gets, searches] = [1000, 40];
  const work = Promise.all([
    ...Array.from({ length: gets }, (_, count) => flights.flown(() => shadows.get({ thing: `logger-${count}`, shadow: null }))),
    ...Array.from({ length: searches }, () =>
      flights.flown(async () => await shadows.search?.({ query: 'thingName:logger-1', shadow: null, next: null })),
    ),
  ]);
  await clock.run(work);
  expect([aws.endpoint.calls.get('GetThingShadow'), aws.endpoint.calls.get('SearchIndex')]).toEqual([gets, searches]);
  // A second's worth at once, the others by the quota.
  const leastMs =
    Math.max((gets - QUOTAS.GetThingShadow) / QUOTAS.GetThingShadow, (searches - QUOTAS.SearchIndex) / QUOTAS.SearchIndex) * 1000;
  expect(clock.now() - START).toBeGreaterThanOrEqual(Math.floor(leastMs));
  expect(clock.now() - START).toBeLessThan(leastMs + 1000);
  await shadows.close();
  await aws.close();
});
