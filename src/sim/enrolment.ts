import { certificateId } from './aws/registry.ts';
import type { AwsIot } from './aws/aws-iot.ts';

/** What a gateway that provisions itself comes with: a certificate of its own, and a claim for further ones. */
export interface Enrolment {
  readonly own: IssuedCertificate;
  readonly claim: IssuedCertificate;
  readonly template: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface IssuedCertificate {
  readonly id: string;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly issuedAt: number;
}

const POLICY = 'gateways';
const TEMPLATE = 'gateways';
const claims = new WeakMap<AwsIot, Promise<IssuedCertificate>>();

/**
 * Enrols a gateway as its factory did at `issuedAt`: an active certificate that is attached to its thing, and a claim that
 * all gateways of the account share, for a template that names the thing by the parameter ThingName.
 */
export async function enrolGateway(account: AwsIot, thing: string, issuedAt: number): Promise<Enrolment> {
  let claim = claims.get(account);
  if (claim === undefined) claims.set(account, (claim = prepareAccount(account, issuedAt)));
  const { registry } = account;
  const claimed = await claim;
  const own = await issue(account, issuedAt);
  if (!registry.hasThing(thing)) registry.createThing(thing);
  registry.attachThing(thing, registry.arn(`cert/${own.id}`));
  return { own, claim: claimed, template: TEMPLATE, parameters: { ThingName: thing } };
}

async function prepareAccount(account: AwsIot, at: number): Promise<IssuedCertificate> {
  const statement = { Effect: 'Allow', Action: 'iot:*', Resource: '*' };
  account.registry.createPolicy(POLICY, JSON.stringify({ Version: '2012-10-17', Statement: [statement] }));
  const body = JSON.stringify({
    Parameters: { ThingName: { Type: 'String' }, 'AWS::IoT::Certificate::Id': { Type: 'String' } },
    Resources: {
      thing: { Type: 'AWS::IoT::Thing', Properties: { ThingName: { Ref: 'ThingName' } } },
      certificate: { Type: 'AWS::IoT::Certificate', Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' } },
      policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: POLICY } },
    },
  });
  account.provisioning.templates.set(TEMPLATE, { body, enabled: true });
  return await issue(account, at);
}

async function issue({ registry, ca }: AwsIot, issuedAt: number): Promise<IssuedCertificate> {
  const { certificate, key } = await (await ca()).withKey(issuedAt);
  const id = certificateId(certificate);
  registry.addCertificate(certificate, 'ACTIVE', issuedAt);
  registry.attachPolicy(POLICY, registry.arn(`cert/${id}`));
  return { id, certificate, key, issuedAt };
}
