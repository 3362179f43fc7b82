/// `/login`.
struct LoginPage: PageModel {
    /// What the form sends back; bound to the browser's cookie.
    var formToken: String
    /// The name that was typed, where the form came back.
    var typedName = ""
    /// Where to go afterwards.
    var next: ReturnPath?
    /// Why the form came back.
    var problem: String?

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "formToken": formToken
        case "typedName": typedName
        case "nextPath": next?.text
        case "problem": problem
        default: nil
        }
    }
}

/// `/login` after the password, where the account takes one-time codes.
struct CodePage: PageModel {
    /// What the form sends back; bound to the browser's cookie.
    var formToken: String
    /// Where to go afterwards.
    var next: ReturnPath?
    /// Why the form came back.
    var problem: String?

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "formToken": formToken
        case "nextPath": next?.text
        case "problem": problem
        default: nil
        }
    }
}

/// `/logout` for a browser without our script: the frame has the same form as a button.
struct LogoutPage: PageModel {
    func child(named name: String) -> (any PageValue)? { nil }
}

/// `/device`: a browser as a device. What it shows, its script knows.
struct BrowserDevicePage: PageModel {
    func child(named name: String) -> (any PageValue)? { nil }
}

/// An error, or anything else that is said in one paragraph.
struct MessagePage: PageModel {
    /// The HTTP status, shown for those who report it.
    var status: Int
    var heading: String
    var advice: String
    /// Where to go from here, if anywhere.
    var wayOut: Route?

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "status": status == 200 ? nil : status
        case "heading": heading
        case "advice": advice
        case "wayOutPath": wayOut?.path
        case "wayOutLabel" where status == 503: "Try again"
        case "wayOutLabel":
            wayOut == .nodes ? "Go to Nodes" : wayOut == .login ? "Sign in" : "Go to the start page"
        default: nil
        }
    }
}
