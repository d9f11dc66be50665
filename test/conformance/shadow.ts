import { expect } from 'vitest';
import { namedAt, readShadowDocument } from '#model/shadow.ts';
import { FIELD, fleetYaml, type FamilyPages, type FamilyTrial } from './family.ts';
import { expectMapped, lastReport, mappedTrials, README_FILES, THING, vectorsIn, type MappedFamily, type MappedVector } from './mapped.ts';

const FLEET = fleetYaml(FIELD, "cloud: { type: aws-iot, region: eu-central-1, endpoint: 'https://aws.sim', index: all }");

/** AWS IoT over HTTP with its index, or a plain broker. */
const family: MappedFamily<'cloud' | 'field'> = {
  family: 'shadow',
  fleet: FLEET,
  configs: ['{"net":{"apn":"one.example"},"log":"info"}', '{"net":{"apn":"two.example"},"log":"info"}'],
  vias: { firmware: 'field', config: 'cloud', settings: 'cloud' },
  wireOf: (via) => ({
    channels: ['fleet', 'other', 'classic'],
    last: (fleet) => lastReport(fleet, via, (topic) => topic === `$aws/things/${THING}/shadow/name/fleet/update`),
    put: (fleet, channel, payload) => {
      const shadow = channel === 'classic' ? null : channel;
      fleet.sim.aws(via).shadows.update({ thing: THING, shadow }, payload);
      return Promise.resolve();
    },
  }),
  offersOf: (via) => (fleet) => {
    const content = fleet.sim.aws(via).shadows.contentOf({ thing: THING, shadow: 'fleet' });
    return [JSON.stringify(content?.state['desired'] ?? null)];
  },
};

export const SHADOW_TRIALS: readonly FamilyTrial[] = mappedTrials(family);

interface Vector extends MappedVector {
  readonly document: unknown;
  readonly heardAt: number;
}

/** A document as AWS writes it comes out by the mapping as the vector says. */
function readBack(vector: Vector): void {
  const read = readShadowDocument(vector.document);
  if (read === null) throw new Error('no document');
  expect(namedAt(read.reported, '')).toBe(vector.heardAt * 1000);
  expectMapped(read, vector);
}

export const SHADOW_PAGES: FamilyPages = {
  family: 'shadow',
  fixtures: (vectorsIn('src/adapters/shadow/fixtures/documents.json') as readonly Vector[]).map((vector) => ({
    file: 'documents.json',
    name: vector.name,
    check: () => readBack(vector),
  })),
  readme: { 'fleet.yaml': FLEET, ...README_FILES },
};
