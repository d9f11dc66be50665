import type { Instant } from '#model/ids.ts';

export interface ObjectFacts {
  readonly key: string;
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  readonly lastModified: Instant;
}

export interface ListPage {
  readonly objects: readonly ObjectFacts[];
  readonly prefixes: readonly string[];
  /** Hand back as `startAfter` … null at the end. */
  readonly next: string | null;
}

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter?: string;
  readonly startAfter?: string;
  /** The `next` of the page before. */
  readonly next?: string;
}

export interface PutOptions {
  readonly contentType?: string;
  /** Write only over this ETag. */
  readonly ifMatch?: string;
  /** Write only where there is nothing. */
  readonly ifAbsent?: boolean;
  /** User metadata, `X-Amz-Meta-NAME` on the wire. */
  readonly meta?: Readonly<Record<string, string>>;
}

export interface GetOptions {
  /** `unchanged` when this is its ETag. */
  readonly unless?: string;
  /** `unchanged` unless it was written after this instant, in whole seconds of the server's clock: equal bytes written anew count. */
  readonly since?: Instant;
  readonly maxBytes?: number;
}

/** An S3 bucket. All calls throw WireError: `S3_403` for permissions (never), `S3_5xx` and throttling (later). */
export interface ObjectStore {
  list(request: ListRequest, signal?: AbortSignal): Promise<ListPage>;
  get(
    key: string,
    options?: GetOptions,
    signal?: AbortSignal,
  ): Promise<(ObjectFacts & { readonly bytes: Uint8Array }) | 'missing' | 'unchanged'>;
  head(key: string, signal?: AbortSignal): Promise<ObjectFacts | 'missing'>;
  put(key: string, bytes: Uint8Array, options?: PutOptions, signal?: AbortSignal): Promise<{ readonly etag: string } | 'conflict'>;
  delete(key: string, signal?: AbortSignal): Promise<void>;
  /** A GET URL that whoever has it may use for that long. Never log it. */
  presign(key: string, expiresSeconds: number): Promise<string>;
  close(): Promise<void>;
}
