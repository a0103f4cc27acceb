// A tool written for Node: posts the job from standard input with fetch, polls the answer's url
// without credentials while the answer says "new", and prints the last answer.
const [, , endpoint] = process.argv;
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);

let response = await fetch(endpoint, {
  method: "POST",
  headers: { "Content-Type": "application/json", uid: "me", apikey: "mine" },
  body: Buffer.concat(chunks),
});
let answer = await response.json();
while (answer.status === "new") {
  await new Promise((resolve) => setTimeout(resolve, 100));
  response = await fetch(answer.url);
  answer = await response.json();
}
console.log(JSON.stringify(answer));
