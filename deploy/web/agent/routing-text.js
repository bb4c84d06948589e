/**
 * @typedef {import('../services/enterprise-adapter').Message} Message
 * @typedef {import('../shared/message-view.js').Translate} Translate
 */

const REASONS = new Set([
  'named_agent', 'last_agent', 'least_loaded', 'agent_took', 'agent_wrote', 'assigned_by', 'transferred_by',
  'returned_to_queue', 'agent_lost', 'no_response', 'no_agent', 'all_busy', 'closed_by',
]);

/** @param {string} reason a word of the routing @param {Translate} t */
export function reasonText(reason, t) {
  return REASONS.has(reason) ? t(reason) : reason;
}

/**
 * What routing did, as agents are told.
 *
 * @param {Message} message
 * @param {Translate} t
 * @param {(id: string | null | undefined) => string} nameOf
 */
export function routingText(message, t, nameOf) {
  const agent = nameOf(message.agentId);
  const reason = reasonText(message.reason ?? '', t);
  if (message.kind === 'closed') return t('closed_agent');
  if (!message.agentId) return t('requeued_agent', { reason });
  return message.kind === 'assigned' || !message.formerAgentId
    ? t('assigned_agent', { agent, reason })
    : t('transferred_agent', { agent, reason, former: nameOf(message.formerAgentId) });
}
