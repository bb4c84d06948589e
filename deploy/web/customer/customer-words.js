import { CHAT_WORDS } from '../shared/chat-words.js';

/** What the customer page says of a conversation. */
export const CUSTOMER_WORDS = /** @type {const} */ ({
  ...CHAT_WORDS,
  write_to_us: ['Write to us: we will find somebody for you.', '请留言，我们将为您安排客服。'],
  waiting: ['You wait for an agent.', '正在等待客服。'],
  waiting_at: ['All agents are busy. You are number {position} in the queue.', '客服均忙，您排在第 {position} 位。'],
  next: ['All agents are busy. You are next.', '客服均忙，您是下一位。'],
  nobody: ['Nobody is here just now. Your messages are kept and will be answered.', '当前无客服在线，您的留言会保存并得到回复。'],
  served_by: ['You are talking to {agent} ({status}).', '{agent}（{status}）正在为您服务。'],
  is_closed: ['The conversation was closed. Write to us again at any time.', '会话已结束，您可随时再次留言。'],
  assigned: ['{agent} is here for you.', '{agent} 为您服务。'],
  transferred: ['Passed on to {agent}.', '已转接给 {agent}。'],
  requeued: ['You wait for the next free agent.', '正在等待下一位空闲客服。'],
  closed: ['The conversation was closed. Write again at any time.', '会话已结束，您可随时再次留言。'],
  leave: ['Log out', '退出登录'],
  leave_guest: ['End and forget this conversation on this device', '结束会话并清除本机记录'],
  leave_sure: ['Do you want to end the conversation on this device?', '确定要在此设备上结束会话吗？'],
  leave_guest_more: [
    'You are here without an account: afterwards there is no way back to it.', '您未使用账号，结束后将无法再次查看。',
  ],
  stay: ['Stay', '取消'],
});
