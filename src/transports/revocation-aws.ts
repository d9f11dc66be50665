import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';
import { AWS_IOT } from '#model/aws-quotas.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { Clock } from '#ports/clock.ts';
import type { CertificateStanding, Revocation } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';
import { awsIotError } from './aws-iot-errors.ts';
import { exchangeRequests } from './aws-iot-exchange.ts';
import { statusOf } from './s3-errors.ts';
import { TokenBuckets } from './token-bucket.ts';

const CALL_LIMIT_MS = 30 * SECOND_MS;
const ATTEMPTS = 3;
/** An answer stands for so long: what a person changes meanwhile shows after that. */
const KEPT_MS = 5 * MINUTE_MS;
const MOST_KEPT = 100_000;
/** The most that a page of things holds. */
const HOLDERS = 250;

export interface AwsRevocationOptions {
  readonly region: string;
  readonly clock: Clock;
  /** In the place of the default chain of the SDK. */
  readonly credentials?: SigningCredentials;
  /** The control plane, for one that is not AWS's. */
  readonly controlEndpoint?: string;
  /** In the place of sockets: a service that answers in this process. */
  readonly exchange?: HttpExchange;
}

/**
 * `withdraw: aws`: a certificate is made INACTIVE, which ends its connections within minutes and can be undone
 * (docs/protocols/aws-iot.md §11.1, §11.2). One that the account does not know lets nobody in. Nothing is sent yet.
 */
export async function openAwsRevocation(options: AwsRevocationOptions): Promise<Revocation> {
  const { awsIotSdk: sdk } = await import('./aws-iot-sdk.ts');
  const { region, clock, credentials, controlEndpoint, exchange } = options;
  const limits = { connectionTimeout: 10 * SECOND_MS, requestTimeout: CALL_LIMIT_MS, throwOnRequestTimeout: true };
  const client = new sdk.IoTClient({
    region,
    maxAttempts: ATTEMPTS,
    systemClockOffset: clock.now() - Date.now(),
    ...(credentials === undefined ? {} : { credentials }),
    ...(controlEndpoint === undefined ? {} : { endpoint: controlEndpoint }),
    requestHandler: exchange === undefined ? limits : exchangeRequests(exchange),
  });
  const called = callsWithin(clock);
  const known = new Map<string, { readonly standing: CertificateStanding; readonly at: number }>();
  const standing = async (certificateId: string, signal: AbortSignal): Promise<CertificateStanding> => {
    const kept = known.get(certificateId);
    if (kept !== undefined && clock.monotonicMs() - kept.at < KEPT_MS) return kept.standing;
    const asked = await ask(certificateId, signal);
    if (known.size >= MOST_KEPT) known.clear();
    known.set(certificateId, { standing: asked, at: clock.monotonicMs() });
    return asked;
  };
  const ask = (certificateId: string, signal: AbortSignal): Promise<CertificateStanding> =>
    called('describe a certificate', signal, async (abortSignal) => {
      try {
        const { certificateDescription: found } = await client.send(new sdk.DescribeCertificateCommand({ certificateId }), { abortSignal });
        return { state: found?.status === 'ACTIVE' ? 'accepted' : 'withdrawn', issuedAt: found?.creationDate?.getTime() ?? null };
      } catch (error) {
        if (statusOf(error) === 404) return { state: 'withdrawn', issuedAt: null };
        throw error;
      }
    });
  const holders = (certificateId: string, signal: AbortSignal): Promise<readonly string[]> =>
    called('list the things of a certificate', signal, async (abortSignal) => {
      const { certificateDescription: found } = await client.send(new sdk.DescribeCertificateCommand({ certificateId }), { abortSignal });
      const principal = found?.certificateArn;
      const { things } = await client.send(new sdk.ListPrincipalThingsCommand({ principal, maxResults: HOLDERS }), { abortSignal });
      return things ?? [];
    });
  const withdraw = (certificateId: string, signal: AbortSignal): Promise<void> =>
    called('withdraw a certificate', signal, async (abortSignal) => {
      known.delete(certificateId);
      await client.send(new sdk.UpdateCertificateCommand({ certificateId, newStatus: 'INACTIVE' }), { abortSignal });
    });
  return {
    state: async (certificate, signal) => (await standing(sha256(certificate), signal)).state,
    withdraw: (certificate, signal) => withdraw(sha256(certificate), signal),
    byFingerprint: { standing, holders, withdraw },
    close: () => Promise.resolve(client.destroy()),
  };
}

type Called = <T>(doing: string, signal: AbortSignal, run: (abortSignal: AbortSignal) => Promise<T>) => Promise<T>;

/** Each call waits for the quota and has its limit; whatever it throws leaves as WireError, or as the signal's reason. */
function callsWithin(clock: Clock): Called {
  const buckets = new TokenBuckets<'certificate'>(clock, () => AWS_IOT.quotas.certificatesPerSecond);
  return async (doing, signal, run) => {
    await buckets.take('certificate', signal);
    const limit = AbortSignal.timeout(CALL_LIMIT_MS);
    try {
      return await run(AbortSignal.any([signal, limit]));
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted) throw new WireError('TIMEOUT', 'later', `${doing}: no complete answer in time`);
      throw awsIotError(error, doing);
    }
  };
}

/** Of the account's own endpoint, `wss?://NAME-ats.iot.REGION.amazonaws.com`; null for any other host. */
export function regionOf(url: string): string | null {
  return /\.iot\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?(:\d+)?(\/|$)/.exec(url)?.[1] ?? null;
}
