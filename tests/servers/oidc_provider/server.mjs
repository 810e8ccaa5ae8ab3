// SPDX-FileCopyrightText: The airflow-imap-oauth authors
// SPDX-License-Identifier: Apache-2.0

// The certified authorization server oidc-provider, set up as a strict mail provider's, on loopback
// over TLS.
//
// The first line of its input is JSON: cert_file and key_file (PEM), clients (metadata of RFC 7591),
// resource and resource_scopes (RFC 8707: what the access tokens are for). The first line of its
// output is JSON: issuer. It ends with its input, so that it outlives nobody.
//
// Whoever signs in is believed; pages are plain forms, for a client without scripts.

import { createHash, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { Provider } from 'oidc-provider';

console.info = console.error; // the output is for the first line alone

const logins = new Map();

function accountOf(login) {
  const id = createHash('sha256').update(login).digest('hex').slice(0, 32);
  logins.set(id, login);
  return id;
}

function signingKey(type, options) {
  return generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
}

function configuration({ clients, resource, resource_scopes: scope }) {
  return {
    clients,
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    cookies: { keys: ['only-for-tests'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'mailbox' },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({ scope, accessTokenFormat: 'opaque' }),
        useGrantedResource: () => true,
      },
      revocation: { enabled: true },
    },
    findAccount: (_, id) => logins.has(id) && {
      accountId: id,
      claims: () => ({ sub: id, email: logins.get(id), email_verified: true }),
    },
    extraTokenClaims: (_, { accountId }) => (accountId && { username: logins.get(accountId) }),
    jwks: {
      keys: [
        { ...signingKey('rsa', { modulusLength: 2048 }), kid: 'rsa', use: 'sig' },
        { ...signingKey('ec', { namedCurve: 'P-256' }), kid: 'ec', use: 'sig' },
      ],
    },
    pkce: { required: () => true },
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: 3600,
      ClientCredentials: 3600,
      DeviceCode: 600,
      Grant: 86400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86400,
      Session: 600,
    },
  };
}

function page(prompt, details) {
  const scopes = [
    ...(details.missingOIDCScope ?? []),
    ...Object.values(details.missingResourceScopes ?? {}).flat(),
  ];
  const fields = prompt === 'login'
    ? '<input type="text" name="login">'
    : scopes.map((name) => `<input type="checkbox" name="scope" value="${name}">${name}`).join('');
  return `<!DOCTYPE html><title>${prompt}</title><form method="post">
    <input type="hidden" name="prompt" value="${prompt}">${fields}
    <button name="decision" value="allow">Allow</button>
    <button name="decision" value="deny">Deny</button></form>`;
}

function decide(grant, details, allowed) {
  for (const scope of details.missingOIDCScope ?? []) {
    if (allowed.has(scope)) grant.addOIDCScope(scope);
    else grant.rejectOIDCScope(scope);
  }
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    for (const scope of scopes) {
      if (allowed.has(scope)) grant.addResourceScope(resource, scope);
      else grant.rejectResourceScope(resource, scope);
    }
  }
}

async function outcome(provider, form, { prompt, params, session, grantId }) {
  if (form.get('decision') !== 'allow') return { error: 'access_denied' };
  if (prompt.name === 'login') return { login: { accountId: accountOf(form.get('login')) } };
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  decide(grant, prompt.details, new Set(form.getAll('scope')));
  return { consent: { grantId: await grant.save() } };
}

async function interact(provider, request, response) {
  const interaction = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page(interaction.prompt.name, interaction.prompt.details));
    return;
  }
  const form = new URLSearchParams(await text(request));
  const result = await outcome(provider, form, interaction);
  await provider.interactionFinished(request, response, result, {
    mergeWithLastSubmission: 'consent' in result,
  });
}

function serve(settings) {
  const tls = { cert: readFileSync(settings.cert_file), key: readFileSync(settings.key_file) };
  const server = createServer(tls);
  server.listen(0, '127.0.0.1', () => {
    const issuer = `https://127.0.0.1:${server.address().port}`;
    const provider = new Provider(issuer, configuration(settings));
    const standard = provider.callback();
    server.on('request', (request, response) => {
      if (!request.url.startsWith('/interaction/')) {
        standard(request, response);
        return;
      }
      interact(provider, request, response).catch((error) => {
        response.statusCode = 400;
        response.end(String(error));
      });
    });
    process.stdout.write(`${JSON.stringify({ issuer })}\n`);
  });
}

const input = createInterface({ input: process.stdin });
input.once('line', (line) => serve(JSON.parse(line)));
input.once('close', () => process.exit());
