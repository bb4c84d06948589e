/** What the customer page says before a conversation has begun. */
export const START_WORDS = /** @type {const} */ ({
  title: ['Customer support', '在线客服'],
  welcome: ['How can we help you?', '您好，有什么可以帮您？'],
  welcome_more: [
    'Start a conversation; somebody will be with you as soon as they can.', '开始会话后，我们会尽快为您安排客服。',
  ],
  your_name: ['Your name (optional)', '您的称呼（可不填）'],
  start: ['Start the conversation', '开始会话'],
  user_name: ['User name', '用户名'],
  password: ['Password', '密码'],
  log_in: ['Log in', '登录'],
  have_account: ['I have an account', '我有账号'],
  as_guest: ['Go on without an account', '无需账号，直接咨询'],
  please_wait: ['One moment…', '请稍候…'],
  minimise: ['Minimise', '最小化'],
});
