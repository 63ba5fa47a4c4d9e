/** How it stands with the collector, for all to see. */

export type Phase = 'connecting' | 'live' | 'lost' | 'unauthorised';

class Connection {
  phase = $state<Phase>('connecting');
  /** Why it is as it is, where there is something to say. */
  message = $state('');
  transport = $state<'stream' | 'polling'>('polling');
  /** Whether something that the page asked for needs a token with more rights. */
  isTokenAsked = $state(false);
  version = $state('');
  isSimulated = $state(false);
}

export const connection = new Connection();
