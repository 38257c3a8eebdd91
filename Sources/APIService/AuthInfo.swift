import ComputeCore

/// `GET /auth/info`: how to sign in here, for programs that ask. Endpoint names of two generations of clients.
enum AuthInfo {
    static let data: [String: JSONValue] = [
        "message": .string("This sandbox is used with a token."),
        "instructions": .string(
            "Send the access token that the API answered with the sandbox, or a session token made with it, as "
                + "Authorization: Bearer <token> or ?token=<token>."),
        "usage": .object([
            "header": .string("Authorization: Bearer <token>"),
            "query": .string("?token=<token>"),
        ]),
        "endpoints": .object([
            "create_session_token": .string("POST /auth/session_tokens"),
            "list_session_tokens": .string("GET /auth/session_tokens"),
            "get_session_token": .string("GET /auth/session_tokens/{id}"),
            "revoke_session_token": .string("DELETE /auth/session_tokens/{id}"),
            "create_magic_link": .string("POST /auth/magic-links"),
            "auth_status": .string("GET /auth/status"),
            "auth_info": .string("GET /auth/info"),
            "generate_token": .string("POST /auth/token"),
            "check_status": .string("GET /auth/status"),
            "info": .string("GET /auth/info"),
        ]),
    ]
}
