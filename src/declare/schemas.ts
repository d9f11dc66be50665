import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import approval from '#schemas/approval.json' with { type: 'json' };
import artifact from '#schemas/artifact.json' with { type: 'json' };
import defs from '#schemas/defs.json' with { type: 'json' };
import devices from '#schemas/devices.json' with { type: 'json' };
import fleet from '#schemas/fleet.json' with { type: 'json' };
import group from '#schemas/group.json' with { type: 'json' };
import override from '#schemas/override.json' with { type: 'json' };
import rollout from '#schemas/rollout.json' with { type: 'json' };
import set from '#schemas/set.json' with { type: 'json' };
import window from '#schemas/window.json' with { type: 'json' };
import type { Json } from '#kit/canonical.ts';
import type {
  ApprovalDocument,
  ArtifactDocument,
  DevicesDocument,
  FleetDocument,
  GroupDocument,
  OverrideDocument,
  RolloutDocument,
  SetDocument,
  WindowDocument,
} from '#model/generated/fleet-repo.ts';

export interface DocumentTypes {
  Fleet: FleetDocument;
  Devices: DevicesDocument;
  Artifact: ArtifactDocument;
  Group: GroupDocument;
  Set: SetDocument;
  Rollout: RolloutDocument;
  Window: WindowDocument;
  Override: OverrideDocument;
  Approval: ApprovalDocument;
}

export type Kind = keyof DocumentTypes;

const SCHEMAS: Readonly<Record<Kind, object>> = {
  Fleet: fleet,
  Devices: devices,
  Artifact: artifact,
  Group: group,
  Set: set,
  Rollout: rollout,
  Window: window,
  Override: override,
  Approval: approval,
};

export const KINDS = Object.keys(SCHEMAS) as readonly Kind[];

// Compiling takes milliseconds per kind, so a kind is compiled when the first document of it is met.
const compiled = new Map<Kind, ValidateFunction>();
let ajv: Ajv2020 | undefined;

/** All errors of a document's data against the schema of its kind, in ajv's own terms; none when it is right. */
export function schemaErrors(kind: Kind, data: unknown): readonly ErrorObject[] {
  ajv ??= makeAjv().addSchema(defs);
  let validate = compiled.get(kind);
  if (validate === undefined) {
    validate = ajv.compile(SCHEMAS[kind]);
    compiled.set(kind, validate);
  }
  return validate(data) ? [] : (validate.errors ?? []);
}

/** Checks the text values of a family's `options` or `settings`, turning them into the types that the schema asks for. */
export type TypedCheck = (texts: unknown) => { readonly value: unknown; readonly errors: readonly ErrorObject[] };

export function compileTyped(schema: Json): TypedCheck {
  const validate = new Ajv2020({ ...AJV_OPTIONS, coerceTypes: true }).compile(schema as object);
  return (texts) => {
    const value = structuredClone(texts);
    return validate(value) ? { value, errors: [] } : { value, errors: validate.errors ?? [] };
  };
}

const AJV_OPTIONS = { allErrors: true, verbose: true, strict: false, discriminator: true, logger: false } as const;

function makeAjv(): Ajv2020 {
  return new Ajv2020(AJV_OPTIONS);
}
