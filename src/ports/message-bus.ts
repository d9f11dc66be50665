import type { Instant } from '#model/ids.ts';

export interface BusMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
  readonly receivedAt: Instant;
  /** False for anything that may have been queued before this connection: its age is unknown (DESIGN.md §4). */
  readonly fresh: boolean;
}

export interface PublishOptions {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
  /** MQTT 5 message expiry; left out where the broker speaks 3.1.1. */
  readonly expirySeconds?: number;
  /** Bytes behind the payload: part of one message, and not copied where they are many. */
  readonly tail?: Uint8Array;
}

/** One MQTT connection. All calls throw WireError. */
export interface MessageBus {
  readonly clientId: string;
  /** True when MQTT 5 was agreed, so that expiry is honoured. */
  readonly expires: boolean;
  subscribe(filters: readonly string[], qos: 0 | 1): Promise<void>;
  /** Left out where nobody ever takes a subscription back. */
  unsubscribe?(filters: readonly string[]): Promise<void>;
  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void>;
  /** Called for each message in order of arrival. Returns the way to stop listening. */
  listen(listener: (message: BusMessage) => void): () => void;
  /**
   * Publishes a marker to a topic of our own and resolves when it comes back: whatever was queued for this session has
   * been delivered to the listeners by then, marked as not fresh. Needs the subscriptions to stand already.
   */
  settle(signal?: AbortSignal): Promise<void>;
  /** Called each time the connection is gone, for whatever cause. Left out where it never is. */
  onLost?(listener: () => void): void;
  /** Called each time a lost connection stands again, subscriptions included. */
  onRestored?(listener: () => void): void;
  close(): Promise<void>;
}
