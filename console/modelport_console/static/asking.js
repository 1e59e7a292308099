// Requests that a page of ours sends: with the header that other sites cannot send.

/** Post JSON; an answer that is an error is thrown with its words, and with the fields that are wrong. */
export async function post(url, content) {
  let answer;
  try {
    answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "x-modelport-console": "1" },
      body: JSON.stringify(content),
    });
  } catch {
    throw new Error("The console does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let told = { error: text };
  try {
    told = JSON.parse(text);
  } catch {
    // what stands before the routes answers in plain text
  }
  throw Object.assign(new Error(told.error), { fields: told.fields || [] });
}
