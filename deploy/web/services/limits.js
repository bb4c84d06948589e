// The adapter's bounds, all in one place; README.md says what happens at each.

/** Most messages that wait to be sent, refused ones included. */
export const OUTBOX_MESSAGES_MAX = 1000;
/** Newest entries of a conversation that are kept. */
export const CACHED_ENTRIES_MAX = 200;
/** Conversations that are kept. */
export const CACHED_CONVERSATIONS_MAX = 100;
/** Users of this browser whose unsent messages and cache are kept. */
export const STORED_USERS_MAX = 5;
/** Completed uploads that `sendMessage` finds by name. */
export const NAMED_UPLOADS_MAX = 100;
/** Unfinished uploads that are gone on with. */
export const REMEMBERED_UPLOADS_MAX = 20;
export const ONLINE_USERS_MAX = 1000;
export const SIGNED_URLS_MAX = 500;
export const REPORT_EVENTS_MAX = 50;
/** The server takes 16 KiB. */
export const REPORT_BYTES_MAX = 15 * 1024;
export const REPORT_INTERVAL_MS = 10_000;
export const REPORT_TEXT_CHARACTERS_MAX = 500;

/** How long a REST call waits for its answer. */
export const REQUEST_TIMEOUT_MS = 20_000;
/** How often a reading call is tried. */
export const REQUEST_TRIES_MAX = 3;
/** The longest `Retry-After` that a reading call waits out by itself. */
export const RETRY_AFTER_MS_MAX = 30_000;

/** How often a part of the adapter that comes when it is needed is asked for, before what needs it fails. */
export const LOAD_TRIES_MAX = 8;

/** How long opening a socket may take, until the server has said that everything missed was sent. */
export const OPENING_TIMEOUT_MS = 30_000;
/** How long a heartbeat may stay unanswered. */
export const PROBE_TIMEOUT_MS = 10_000;
/** A timer that comes later than this says more of the timer (a sleeping tab) than of the connection. */
export const TIMER_LATENESS_MS = 5000;
/** A connection that lived this long ends the series of failures. */
export const STABLE_CONNECTION_MS = 10_000;
/** A message that is not acknowledged for so long has its connection asked, and then made anew. */
export const ACK_PROBE_MS = 5000;
export const ACK_TIMEOUT_MS = 60_000;
/** Pauses between attempts: at random below this, doubled each time, up to the second. */
export const BACK_OFF_BASE_MS = 1000;
export const BACK_OFF_CAP_MS = 30_000;

/** How often `Delivered` goes out. */
export const RECEIPT_INTERVAL_MS = 300;
export const TYPING_INTERVAL_MS = 2000;
/** Typing ends by itself after this. */
export const TYPING_LIFETIME_MS = 6000;
/** How often a customer's list of agents is read again. */
export const ONLINE_USERS_INTERVAL_MS = 60_000;

/** Bytes of an upload's part. */
export const CHUNK_BYTES = 8 * 1024 * 1024;
export const CHUNK_THRESHOLD_BYTES = 8 * 1024 * 1024;
/** Attempts in a row that bring an upload no further, before it fails. */
export const UPLOAD_TRIES_MAX = 8;
/** An upload that sends nothing for so long is broken off and gone on with. */
export const UPLOAD_STALL_MS = 30_000;
export const FILE_NAME_CHARACTERS_MAX = 255;
/** A signed address is asked for again when it has less than this to live. */
export const SIGNED_URL_MARGIN_MS = 30_000;
