// Passkeys: what a page asks of an authenticator, and what that says, put into the page's form.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer ?? [])))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** Says what went wrong, in the form's own line. */
function tell(form, error) {
  const line = form.querySelector("[data-trouble]");
  const known = {
    NotAllowedError: "Nothing was done: it was cancelled, took too long, or there is no passkey for this site here.",
    InvalidStateError: "This device holds a passkey of your account already.",
    SecurityError: "Passkeys need a name, not an address: open these pages by their host name, or as localhost.",
  };
  line.textContent = known[error.name] ?? `The browser says: ${error.message}`;
  line.hidden = false;
}

/** Has the authenticator make a passkey. */
async function make(form) {
  const { challenge, user, account, known } = form.dataset;
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(challenge),
      rp: { name: "GoClaw" },
      user: { id: bytes(user), name: account, displayName: account },
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: known.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
    },
  });
  form.elements.client_data.value = text(made.response.clientDataJSON);
  form.elements.attestation.value = text(made.response.attestationObject);
}

/** Has it sign the challenge. */
async function sign(form) {
  const { id, response } = await navigator.credentials.get({
    publicKey: { challenge: bytes(form.dataset.challenge), userVerification: "required" },
  }).then((made) => ({ id: made.rawId, response: made.response }));
  form.elements.credential.value = text(id);
  form.elements.client_data.value = text(response.clientDataJSON);
  form.elements.authenticator_data.value = text(response.authenticatorData);
  form.elements.signature.value = text(response.signature);
  form.elements.user_handle.value = text(response.userHandle);
}

const isAble = typeof PublicKeyCredential !== "undefined";
for (const element of document.querySelectorAll("[data-needs-passkeys]")) element.hidden = !isAble;
for (const element of document.querySelectorAll("[data-lacks-passkeys]")) element.hidden = isAble;

for (const form of document.querySelectorAll("form[data-passkey]")) {
  let isAsking = false;
  const ask = async () => {
    if (isAsking) return;
    isAsking = true;
    form.querySelector("[data-trouble]").hidden = true;
    try {
      await (form.dataset.passkey === "make" ? make(form) : sign(form));
      form.requestSubmit();
    } catch (error) {
      tell(form, error);
    } finally {
      isAsking = false;
    }
  };
  form.querySelector("[data-ask]").addEventListener("click", ask);
  if (isAble && form.dataset.passkey === "sign") ask();
}
