import { expect } from 'vitest';
import { isJsonObject, namedAt } from '#model/shadow.ts';
import { objectIn } from '#shadows/values.ts';
import type { MemoryFleet } from '#test/support/memory-fleet.ts';
import { readTwin } from '#transports/azure-document.ts';
import { fleetYaml, type FamilyPages, type FamilyTrial } from './family.ts';
import { expectMapped, lastReport, mappedTrials, README_FILES, THING, vectorsIn, type MappedFamily, type MappedVector } from './mapped.ts';

const HUB = "type: azure-iot, host: trial.azure-devices.net, policy: service, key: '${env:HUB_KEY}'";
const FLEET = fleetYaml(`hub: { ${HUB} }`, `paged: { ${HUB}, index: all }`, `asked: { ${HUB}, index: mismatches }`);

type Via = 'hub' | 'paged' | 'asked';

const family: MappedFamily<Via> = {
  family: 'twin',
  fleet: FLEET,
  // The second loses a key: a device with a twin is told of that.
  configs: ['{"net":{"apn":"one.example","dns":"192.0.2.53"},"log":"info"}', '{"net":{"apn":"two.example"},"log":"info"}'],
  vias: { firmware: 'hub', config: 'paged', settings: 'asked' },
  wireOf: (via) => ({
    channels: [THING, 'other'],
    last: (fleet) => lastReport(fleet, via, (topic) => topic.startsWith('$iothub/twin/PATCH/properties/reported/')),
    put: (fleet, id, payload) => {
      report(fleet, { via, id }, payload);
      return Promise.resolve();
    },
  }),
  offersOf: (via) => (fleet) => {
    const { desired } = fleet.sim.azure(via).twins.readByDevice(THING);
    const { $version: _version, ...state } = isJsonObject(desired) ? desired : {};
    return [JSON.stringify(state)];
  },
};

function report(fleet: MemoryFleet, { via, id }: { readonly via: Via; readonly id: string }, payload: Uint8Array): void {
  const { twins } = fleet.sim.azure(via);
  if (!twins.has(id)) twins.addDevice(id);
  const patch = objectIn(payload);
  try {
    if (patch !== null) twins.report(id, patch);
  } catch (error) {
    // A hub takes no report that a twin cannot hold.
    if (!(error instanceof Error) || error.name !== 'HubError') throw error;
  }
}

export const TWIN_TRIALS: readonly FamilyTrial[] = mappedTrials(family);

interface Vector extends MappedVector {
  readonly twin: unknown;
  readonly version: number;
  readonly heardAt: string | null;
}

/** A twin as a hub writes it comes out by the mapping as the vector says. */
function readBack(vector: Vector): void {
  const document = readTwin(vector.twin)?.document;
  if (document === undefined) throw new Error('no twin');
  expect(document.version).toBe(vector.version);
  expect(namedAt(document.reported, '')).toBe(vector.heardAt === null ? null : Date.parse(vector.heardAt));
  expectMapped(document, vector);
}

export const TWIN_PAGES: FamilyPages = {
  family: 'twin',
  fixtures: (vectorsIn('src/adapters/twin/fixtures/twins.json') as readonly Vector[]).map((vector) => ({
    file: 'twins.json',
    name: vector.name,
    check: () => readBack(vector),
  })),
  readme: { 'fleet.yaml': FLEET, ...README_FILES },
};
