import type { Json } from '#kit/canonical.ts';
import { AwsError } from './errors.ts';
import { isObject, type JsonObject } from './shadow-document.ts';
import type { CertificateStatus } from './registry.ts';

/** What a provisioning template comes to for one device. */
export interface FilledTemplate {
  readonly thing: { readonly name: string; readonly attributes: Readonly<Record<string, string>>; readonly groups: readonly string[] };
  readonly policies: readonly string[];
  readonly status: CertificateStatus;
  readonly deviceConfiguration: Readonly<Record<string, string>>;
}

/**
 * Fills the body of a provisioning template (AWS IoT developer guide, "Provisioning templates": Parameters, Resources of
 * the types Thing, Certificate and Policy, DeviceConfiguration; `Ref` and `Fn::Join`). Throws AwsError
 * InvalidRequestException for a parameter that is missing and for what it does not know.
 */
export function fillTemplate(body: string, parameters: Readonly<Record<string, string>>, certificateId: string): FilledTemplate {
  const template = parsed(body);
  const values = new Map(
    Object.entries({ ...defaultsOf(template['Parameters']), ...parameters, 'AWS::IoT::Certificate::Id': certificateId }),
  );
  const resources = Object.values(section(template['Resources'])).filter(isObject);
  const ofType = (type: string): readonly JsonObject[] =>
    resources.filter((resource) => resource['Type'] === `AWS::IoT::${type}`).map((resource) => section(resource['Properties']));
  const [thing] = ofType('Thing');
  if (thing === undefined) throw bad('has no resource AWS::IoT::Thing');
  const attributes = Object.entries(section(thing['AttributePayload'])).map(([name, value]) => [name, text(value, values)] as const);
  const groups = [thing['ThingGroups'] ?? []].flat() as readonly Json[];
  const [certificate = {}] = ofType('Certificate');
  const configuration = Object.entries(section(template['DeviceConfiguration']));
  return {
    thing: {
      name: text(thing['ThingName'], values),
      attributes: Object.fromEntries(attributes),
      groups: groups.map((group) => text(group, values)),
    },
    policies: ofType('Policy').map((policy) => text(policy['PolicyName'], values)),
    status: text(certificate['Status'] ?? 'Active', values).toUpperCase() === 'ACTIVE' ? 'ACTIVE' : 'INACTIVE',
    deviceConfiguration: Object.fromEntries(configuration.map(([name, value]) => [name, text(value, values)])),
  };
}

function parsed(body: string): JsonObject {
  try {
    const value: unknown = JSON.parse(body);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw bad('is no JSON object');
}

function defaultsOf(parameters: Json | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(section(parameters)).flatMap(([name, parameter]) => {
    const value = isObject(parameter) ? parameter['Default'] : undefined;
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(entries);
}

function section(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function text(value: Json | undefined, values: ReadonlyMap<string, string>): string {
  if (typeof value === 'string') return value;
  if (isObject(value)) {
    const { Ref: ref, 'Fn::Join': join } = value;
    if (typeof ref === 'string') {
      const found = values.get(ref);
      if (found !== undefined) return found;
      throw bad(`needs the parameter ${ref}`);
    }
    if (Array.isArray(join) && typeof join[0] === 'string' && Array.isArray(join[1])) {
      return (join[1] as readonly Json[]).map((part) => text(part, values)).join(join[0]);
    }
  }
  throw bad('holds a value that is neither a text nor Ref nor Fn::Join');
}

function bad(why: string): AwsError {
  return new AwsError('InvalidRequestException', `The provisioning template ${why}`);
}
