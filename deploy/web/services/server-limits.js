/** @typedef {import('./enterprise-adapter').ServerLimits} ServerLimits */

const GIB = 1024 ** 3;

/**
 * The server's defaults, until it was asked.
 *
 * @type {ServerLimits}
 */
export const DEFAULT_LIMITS = {
  fileBytesMax: 2 * GIB,
  base64BytesMax: 50 * 1024 ** 2,
  imageBytesMax: 2 * GIB,
  videoBytesMax: 2 * GIB,
  voiceBytesMax: 2 * GIB,
  charactersMax: 10_000,
  historyLimitMax: 200,
  heartbeatInterval: 30_000,
  pingInterval: 25_000,
  guests: true,
};

/** @param {any} config what `/api/config` answers @returns {ServerLimits} */
export function serverLimits(config) {
  const { upload, message, websocket, history, features } = Object(config);
  const most = upload?.file_bytes_max ?? DEFAULT_LIMITS.fileBytesMax;
  return {
    fileBytesMax: most,
    base64BytesMax: upload?.base64_bytes_max ?? DEFAULT_LIMITS.base64BytesMax,
    imageBytesMax: upload?.image_bytes_max ?? most,
    videoBytesMax: upload?.video_bytes_max ?? most,
    voiceBytesMax: upload?.voice_bytes_max ?? most,
    charactersMax: message?.characters_max ?? DEFAULT_LIMITS.charactersMax,
    historyLimitMax: history?.limit_max ?? DEFAULT_LIMITS.historyLimitMax,
    heartbeatInterval: websocket?.heartbeat_interval_ms ?? DEFAULT_LIMITS.heartbeatInterval,
    pingInterval: websocket?.ping_interval_ms ?? DEFAULT_LIMITS.pingInterval,
    guests: features?.guests ?? false,
  };
}
