import PairingCore
import PairingKernel

/// `/accounts` and what is below it, for administrators.
extension AdminPages {
    func accounts(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let accounts = kernel.accounts
        guard visit.isPost else { return try await accountsPage(visit, session) }
        let form = visit.form
        let name = form?["username"] ?? ""
        guard let role = form?["role"].flatMap(Role.init) else { throw PageFault.staleForm }
        do throws(Refusal) {
            try await accounts.create(
                username: name, password: form?["new_password"] ?? "", role: role, from: visit.address,
                by: session.authority)
        } catch {
            guard [.invalidRequest, .alreadyExists].contains(error.code) else { throw error }
            return try await accountsPage(
                visit, session, typed: (name, role), problem: error.message,
                status: PageFault(error, changes: false).status)
        }
        return seeOther(.accounts, saying: Notice(.accountMade, SenderID(name)), visit)
    }

    private func accountsPage(
        _ visit: Visit, _ session: AdminSession, typed: (name: String, role: Role) = ("", .operator),
        problem: String? = nil, status: Int = 200
    ) async throws -> Answer {
        let accounts = try await kernel.accounts.list(by: session.authority)
        return render(
            .accounts, title: "Accounts",
            AccountsPage(
                accounts: accounts, reader: session.username, typed: typed, problem: problem, now: now()),
            visit, status: status)
    }

    func person(_ name: String, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await personPage(name, visit, session) }
        do {
            return try await change(name, visit, session)
        } catch let refusal as Refusal {
            guard [.invalidRequest, .failedPrecondition].contains(refusal.code) else { throw refusal }
            return try await personPage(
                name, visit, session, problem: refusal.message,
                status: PageFault(refusal, changes: false).status)
        }
    }

    private func change(_ name: String, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let accounts = kernel.accounts
        let (authority, address) = (session.authority, visit.address)
        let kind: Notice.Kind
        switch visit.form?["action"] {
        case "role":
            guard let role = visit.form?["role"].flatMap(Role.init) else { throw PageFault.staleForm }
            try await accounts.setRole(role, of: name, from: address, by: authority)
            kind = .roleChanged
        case "password":
            try await accounts.setPassword(
                username: name, password: visit.form?["new_password"] ?? "", from: address, by: authority)
            kind = .passwordReset
        case "end-sessions":
            try await accounts.endSessions(of: name, from: address, by: authority)
            kind = .signedOutEverywhere
        case "reset-codes":
            try await accounts.resetCodes(of: name, from: address, by: authority)
            kind = .codesReset
        case "remove-passkeys":
            try await accounts.removePasskeys(of: name, from: address, by: authority)
            kind = .passkeysRemoved
        case "disable":
            try await accounts.setDisabled(true, name, from: address, by: authority)
            kind = .accountDisabled
        case "enable":
            try await accounts.setDisabled(false, name, from: address, by: authority)
            kind = .accountEnabled
        default: throw PageFault.staleForm
        }
        // Whoever took their own role or session away may not see the list any more.
        let target: Route = name == session.username ? .account : .person(name)
        return seeOther(target, saying: Notice(kind, SenderID(name)), visit)
    }

    private func personPage(
        _ name: String, _ visit: Visit, _ session: AdminSession, problem: String? = nil, status: Int = 200
    ) async throws -> Answer {
        let account = try await kernel.accounts.account(name, by: session.authority)
        return render(
            .person, title: name,
            PersonPage(account: account, reader: session.username, problem: problem, now: now()), visit,
            status: status)
    }

    func removal(_ name: String, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else {
            let account = try await kernel.accounts.account(name, by: session.authority)
            return render(
                .removal, title: "Remove \(name)",
                PersonPage(account: account, reader: session.username, now: now()), visit)
        }
        do throws(Refusal) {
            try await kernel.accounts.remove(username: name, from: visit.address, by: session.authority)
        } catch {
            switch error.code {
            // The answer to the first time was lost, or somebody else was faster: it is gone.
            case .notFound: break
            case .failedPrecondition:
                let account = try await kernel.accounts.account(name, by: session.authority)
                return render(
                    .removal, title: "Remove \(name)",
                    PersonPage(
                        account: account, reader: session.username, problem: error.message, now: now()),
                    visit, status: 409)
            default: throw error
            }
        }
        return seeOther(.accounts, saying: Notice(.accountRemoved, SenderID(name)), visit)
    }
}

/// What `/accounts` shows.
struct AccountsPage: PageModel {
    var accounts: [AdminAccount]
    /// The account that reads it.
    var reader: String
    /// What the form for a new account holds.
    var typed: (name: String, role: Role) = ("", .operator)
    /// Why the form came back.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "accounts": accounts.map { AccountItem($0, reader: reader, now: now) }
        case "typedName": typed.name
        case "roles": RoleItem.all(selecting: typed.role)
        case "problem": problem
        default: nil
        }
    }
}

/// What the page of one account shows, and the one that removes it.
struct PersonPage: PageModel {
    var account: AdminAccount
    /// The account that reads it.
    var reader: String
    /// Why a form was not carried out.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "person": AccountItem(account, reader: reader, now: now)
        case "roles": RoleItem.all(selecting: account.role)
        case "problem": problem
        default: nil
        }
    }
}

/// An account.
final class AccountItem: PageModel {
    private let account: AdminAccount
    private let reader: String
    private let now: Timestamp

    init(_ account: AdminAccount, reader: String, now: Timestamp) {
        self.account = account
        self.reader = reader
        self.now = now
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "accountName": account.username
        case "accountRole": account.role.rawValue
        case "isReader": account.username == reader
        case "isDisabled": account.disabledAt != nil
        case "accountDisabledAt": account.disabledAt.map { TimeItem($0, .moment, now: now) }
        case "takesCodes": account.codesSince != nil
        case "accountMadeAt": TimeItem(account.createdAt, .moment, now: now)
        case "accountSignedInAt": account.lastSignInAt.map { TimeItem($0, .moment, now: now) }
        case "personPath": Route.person(account.username).path
        case "removalPath": Route.removal(account.username).path
        default: nil
        }
    }
}

/// A role to choose.
final class RoleItem: PageModel {
    private let role: Role
    private let isSelected: Bool

    private init(_ role: Role, isSelected: Bool) {
        self.role = role
        self.isSelected = isSelected
    }

    static func all(selecting selected: Role) -> [RoleItem] {
        Role.allCases.map { RoleItem($0, isSelected: $0 == selected) }
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "roleName": role.rawValue
        case "roleMeaning": role.meaning
        case "isSelected": isSelected
        default: nil
        }
    }
}
