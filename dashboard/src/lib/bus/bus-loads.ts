import type { StatusReply } from '../../../../src/client/index.ts';
import { TimeRing } from '../time-ring.ts';

/** Ten minutes at an answer of /api/status each two seconds. */
const LOADS_KEPT = 300;

/** How loaded each bus was, since the page was opened: in percent, or in frames a second where its bitrate isn't known. */
export class BusLoads {
  readonly #rings = new Map<string, TimeRing>();

  take({ timestamp, buses }: StatusReply): void {
    for (const { name, bus_load_percent, frames_per_s } of buses) {
      let ring = this.#rings.get(name);
      if (ring === undefined) {
        ring = new TimeRing(LOADS_KEPT);
        this.#rings.set(name, ring);
      }
      ring.push(timestamp, bus_load_percent ?? frames_per_s);
    }
  }

  get(bus: string): TimeRing | undefined {
    return this.#rings.get(bus);
  }
}
